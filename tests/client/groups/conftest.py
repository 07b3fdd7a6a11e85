"""A running service with two groups of products."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.server.catalogue.groups.planted import CURVES
from tests.server.fake_encoder import FakeEncoder, make_contract
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.records import Product
from twinshelf.server.config import ServerConfig
from twinshelf.server.serving import create_server

PRODUCTS = [
    *(Product(product_id=f"mug {number}", title="mug") for number in range(3)),
    *(Product(product_id=f"pan {number}", title="pan") for number in range(2)),
    Product(product_id="lone", title="lamp"),
]


def make_encoder() -> FakeEncoder:
    return FakeEncoder(make_contract(pair_curves=CURVES))


@asynccontextmanager
async def serve_groups(tmp_path: Path, encoder: FakeEncoder | None = None) -> AsyncIterator[str]:
    """Serves the products, once they are grouped; yields the address."""
    encoder = encoder or make_encoder()
    config = ServerConfig(
        address="127.0.0.1:0",
        catalogue=tmp_path / "catalogue",
        metrics_address="",
        canary_interval_s=60,
        drain_timeout_s=5,
    )
    server, port = await create_server(config, encoder)
    async with AsyncClient(f"127.0.0.1:{port}") as client, asyncio.timeout(20):
        # Mugs first, so that their group is the first.
        for products in (PRODUCTS[:3], PRODUCTS[3:]):
            assert [answer.error async for answer in client.upsert(products)]
            while (await client.groups.list_page()).pending_product_count:
                await asyncio.sleep(0.05)
    yield f"127.0.0.1:{port}"
    await server.stop()


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with serve_groups(tmp_path) as address:
        yield address
