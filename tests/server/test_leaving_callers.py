"""Callers who leave in the middle of a stream of writes."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import grpc
import pytest

from tests.server.fake_encoder import FakeEncoder
from tests.server.service_process import serve_apart
from twinshelf.server.config import ServerConfig
from twinshelf.v1 import catalog_service_pb2, catalog_service_pb2_grpc, product_pb2

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("way", ["cancels", "has no time", "closes"])
def test_a_service_outlives_them(tmp_path: Path, way: str) -> None:
    numbers = count()
    config = ServerConfig(
        address="127.0.0.1:0", catalogue=tmp_path / "catalogue", metrics_address=""
    )
    with serve_apart(config, FakeEncoder) as service:
        for trial in range(25):
            products = [
                product_pb2.Product(
                    product_id=f"p{number % 200}", title=f"washing gel {next(numbers)}"
                )
                for number in range(200)
            ]
            requests = (
                catalog_service_pb2.UpsertProductsRequest(product=each) for each in products
            )
            # A connection of its own, so that closing it is leaving.
            options = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(service.address, options=options) as channel:
                stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
                deadline_s = 0.02 + 0.005 * trial if way == "has no time" else 20
                answers = stub.UpsertProducts(requests, timeout=deadline_s)
                try:
                    next(answers)
                    if way == "cancels":
                        answers.cancel()
                    elif way == "has no time":
                        list(answers)
                except grpc.RpcError:
                    pass
        with grpc.insecure_channel(service.address) as channel:
            stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
            stub.GetCatalogStats(catalog_service_pb2.GetCatalogStatsRequest(), timeout=10)
        assert service.process.is_alive()
