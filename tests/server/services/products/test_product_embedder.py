"""What encoders beside make of products: they hold up no write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tests.server.calls import catalog, encoders, serving, upsert
from tests.server.fake_encoder import FakeEncoder, digest_of, make_contract
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.v1.catalog_service_pb2 import UpsertProductsRequest
from twinshelf.v1.encoder_service_pb2 import ListEncodersRequest, ReindexRequest
from twinshelf.v1.product_pb2 import Product

pytestmark = pytest.mark.slow

LAMPS = [Product(product_id=f"lamp {n}", title=f"lamp {n}") for n in range(5)]


async def missing_count(channel: grpc.aio.Channel) -> int:
    answer = await encoders(channel).ListEncoders(ListEncodersRequest())
    (count,) = [
        each.missing_product_count
        for each in answer.encoders
        if each.encoder.digest == digest_of("second")
    ]
    return count


async def test_an_encoder_beside_that_hangs_holds_up_no_write_and_is_caught_up_with(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    second = FakeEncoder(make_contract("second", 2, text_dim=24, embedding_dim=40))
    may_answer = asyncio.Event()

    async def hang(_: Sequence[EncoderInput]) -> None:
        await may_answer.wait()

    second.gate = hang
    config = replace(config, encode_timeout_s=0.5, in_flight_limit=1)
    async with asyncio.timeout(30), serving(config, encoder, second) as channel:
        await encoders(channel).Reindex(ReindexRequest(encoder_version=2))
        assert all(each.HasField("upserted") for each in await upsert(channel, LAMPS))
        change = UpsertProductsRequest(
            product=Product(product_id="lamp 0", title="table lamp"),
            update_mask=FieldMask(paths=["title"]),
        )
        (answer,) = [each async for each in catalog(channel).UpsertProducts(iter([change]))]
        assert answer.HasField("upserted")
        assert await missing_count(channel) == len(LAMPS)
        may_answer.set()
        while await missing_count(channel):
            await asyncio.sleep(0.02)
