"""A catalogue in a file of milvus-lite, with one product."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.conftest import MILVUS
from tests.server.catalogue.products import CONTRACT, new_product, query_of, random_embedding
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue

EMBEDDING = random_embedding(np.random.default_rng(0))


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[MilvusCatalogue]:
    """A catalogue with one product, which one thread searches."""
    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    config = replace(MILVUS, look_interval_s=3600, orphan_interval_s=3600)
    opened = MilvusCatalogue(address, reader_count=1, config=config)
    await opened.use_encoder(CONTRACT)
    await opened.upsert(new_product("p", EMBEDDING))
    yield opened
    await opened.close()


async def found(catalogue: MilvusCatalogue) -> list[str]:
    """Returns the identifiers of the products that are found."""
    page = await catalogue.search(query_of(EMBEDDING))
    return [hit.product.record.product_id for hit in page.hits]
