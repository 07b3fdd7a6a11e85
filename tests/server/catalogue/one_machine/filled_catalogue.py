"""A catalogue of drawn products on disk, for tests that break its files or start from them."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from tests.server.catalogue.products import (
    CONTRACT,
    new_product,
    query_of,
    random_embedding,
)
from twinshelf.server.catalogue.index.graph import IndexConfig
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE, SqliteCatalogue
from twinshelf.server.encoders.embedding import OfferEmbedding

SMALL_GRAPH = IndexConfig(slot_count=2, exact_limit=0, scanned_per_found=0)


async def fill(folder: Path, count: int = 60) -> list[OfferEmbedding]:
    """Stores products p0, p1, ... and closes the catalogue; returns their embeddings."""
    rng = np.random.default_rng(11)
    catalogue = SqliteCatalogue(folder, reader_count=2, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    embeddings = [random_embedding(rng) for _ in range(count)]
    await asyncio.gather(
        *(catalogue.upsert(new_product(f"p{i}", each)) for i, each in enumerate(embeddings))
    )
    await catalogue.close()
    return embeddings


async def missing_products(folder: Path, embeddings: list[OfferEmbedding]) -> list[str]:
    """Opens the catalogue and names the products that are not the first hit of themselves."""
    catalogue = SqliteCatalogue(folder, reader_count=2, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    missing = []
    for number, embedding in enumerate(embeddings):
        hits = (await catalogue.search(query_of(embedding, count=1))).hits
        if [hit.product.record.product_id for hit in hits] != [f"p{number}"]:
            missing.append(f"p{number}")
    await catalogue.close()
    return missing


def index_files(folder: Path, ending: str) -> list[Path]:
    return sorted(folder.glob(f"index-*/*{ending}"))


def damage_database(folder: Path, statement: str) -> None:
    """Changes the file as a flipped bit may: no column keeps to its type."""
    _rewrite_schema(folder, ") STRICT", ") -- STRICT")
    change_database(folder, statement)
    _rewrite_schema(folder, ") -- STRICT", ") STRICT")


def _rewrite_schema(folder: Path, old: str, new: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ?, ?)", (old, new))
        connection.commit()


def change_database(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute(statement, values)
        connection.commit()
