"""Ingest by real streams into a service on a fake encoder; Triton alone is a stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.benchmarks import ingest
from tests.benchmarks.end_to_end.deployment import ServiceAddresses
from tests.benchmarks.end_to_end.offers import Offer, make_offers, make_products
from tests.benchmarks.end_to_end.sides import ServiceSide
from tests.benchmarks.report import AnswersDifferError
from tests.server.fake_encoder import FakeEncoder
from twinshelf.server.config import ServerConfig
from twinshelf.server.serving import create_server

COUNT, SIDE_PX = 6, 32


@pytest.fixture
async def addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ServiceAddresses]:
    async def embed(address: str, products: Sequence[Offer], batch_size: int) -> None:
        """Takes no time."""

    monkeypatch.setattr(ingest, "_embed", embed)
    config = ServerConfig(
        address="127.0.0.1:0", catalogue=tmp_path / "catalogue", metrics_address=""
    )
    server, port = await create_server(config, FakeEncoder())
    try:
        yield ServiceAddresses(service=f"127.0.0.1:{port}", triton="")
    finally:
        await server.stop()


async def test_the_service_takes_products_and_offers_of_the_benchmarks(
    addresses: ServiceAddresses,
) -> None:
    side = ServiceSide(addresses.service)
    await side.store(make_products(COUNT, SIDE_PX))
    found = await side.match(make_offers(1, SIDE_PX)[0])
    assert sorted(found) == [f"p{number}" for number in range(COUNT)]
    with pytest.raises(RuntimeError, match="was refused"):
        await side.store([Offer(product_id="", image=b"", title="tea")])
    await side.close()


@pytest.mark.slow
async def test_each_way_is_measured_and_the_products_are_counted(
    addresses: ServiceAddresses,
) -> None:
    products = make_products(COUNT, SIDE_PX)
    rows = ingest.rate_rows(await ingest.measure(addresses, products, 1))
    assert len(rows) == len(ingest.STREAM_COUNTS) + len(ingest.BATCH_SIZES)
    assert max(float(row["this / best of Triton"] or 0) for row in rows[-3:]) == 1.0
    with pytest.raises(AnswersDifferError, match="are there"):
        await ingest.measure(addresses, products[1:], 1)
