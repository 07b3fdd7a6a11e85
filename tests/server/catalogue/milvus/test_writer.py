"""Writes to Milvus: their timestamps are young."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.products import CONTRACT, new_product, random_embedding
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.milvus.write_batch import LONGEST_STEP_S

pytestmark = pytest.mark.milvus
EMBEDDING = random_embedding(np.random.default_rng(0))


async def test_a_first_thumbnail_is_stored_however_long_its_collection_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Collections.make_thumbnails

    def make_slowly(collections: Collections) -> None:
        time.sleep(LONGEST_STEP_S + 0.1)
        make(collections)

    monkeypatch.setattr(Collections, "make_thumbnails", make_slowly)
    address = MilvusAddress.parse(f"milvus-lite://{tmp_path}/catalogue.db")
    assert address is not None
    catalogue = MilvusCatalogue(address, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.upsert(replace(new_product("a", EMBEDDING), thumbnail=b"jpeg"))
    assert await catalogue.thumbnail("a") == b"jpeg"
    await catalogue.close()
