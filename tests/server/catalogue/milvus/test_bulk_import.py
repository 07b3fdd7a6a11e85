"""Products imported into what stands in for a Milvus: order, files, and how a failure is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.server.catalogue.products import CONTRACT, new_product, random_embedding
from twinshelf.server.bulk import import_folder
from twinshelf.server.bulk.import_folder import ImportFolder
from twinshelf.server.catalogue.milvus import bulk_import
from twinshelf.server.catalogue.milvus.bulk_import import BulkImport
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import MilvusConnection, Row
from twinshelf.server.catalogue.milvus.import_task import BulkImportError, ImportTask
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.product_record import NewProduct

COMPLETED = ImportTask(is_completed=True, is_failed=False, reason="")
FAILED = ImportTask(is_completed=False, is_failed=True, reason="no room")
STARTED = ImportTask(is_completed=False, is_failed=False, reason="")
STATE = CatalogueState().knowing(CONTRACT.digest)
VECTORS = f"shop_vectors_{STATE.made_number(CONTRACT.digest):012x}"
COUNT = 250


class Types(Enum):
    """The types of fields."""

    VARCHAR, INT8, INT64, DOUBLE, ARRAY, FLOAT_VECTOR, FLOAT16_VECTOR = (auto() for _ in range(7))


@dataclass
class FakeMilvus:
    """Imports at once what it finds at a path, and shows it a few looks later."""

    version: tuple[int, ...] = (2, 6, 0)
    before: list[ImportTask] = field(default_factory=list)
    product_count: int = 0
    failing: str = ""
    name = "shop"
    is_lite = False
    types = Types

    def __post_init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.made: dict[str, list[Row]] = {}
        self.read: list[tuple[str, int]] = []
        self.looks: Counter[object] = Counter()
        self.clock = 0

    def has_collection(self, collection: str) -> bool:
        return collection in self.made

    def create(self, collection: str, fields: Sequence[Row], indexes: Sequence[Row]) -> None:
        del indexes
        self.made[collection] = list(fields)

    def fields(self, collection: str) -> list[Row]:
        return [
            {
                "name": each["field_name"],
                "type": each["datatype"],
                "element_type": each.get("element_type"),
            }
            for each in self.made[collection]
        ]

    def timestamps(self, count: int = 1) -> list[int]:
        self.clock += count
        return list(range(self.clock - count + 1, self.clock + 1))

    def import_tasks(self, collection: str) -> list[ImportTask]:
        assert collection == "shop_products"
        return self.before

    def begin_import(self, collection: str, path: str) -> int:
        rows = pq.read_table(path).to_pylist()
        self.rows.setdefault(collection, []).extend(rows)
        self.read.append((collection, len(rows)))
        return len(self.read) - 1

    def import_task(self, number: int) -> ImportTask:
        self.looks[number] += 1
        if self.looks[number] < 2:
            return STARTED
        collection, _ = self.read[number]
        return FAILED if self.failing and collection.endswith(self.failing) else COMPLETED

    def count(self, collection: str, condition: str, **_: object) -> int:
        if condition.startswith("kind"):
            return self.product_count
        self.looks[collection] += 1
        return len(self.rows[collection]) if self.looks[collection] > 1 else 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImportFolder:
    monkeypatch.setattr(import_folder, "_MOST_ROWS", 100)
    monkeypatch.setattr(bulk_import, "_LOOK_INTERVAL_S", 0.0)
    return ImportFolder.parse(str(tmp_path))


def begin(milvus: FakeMilvus, folder: ImportFolder) -> BulkImport:
    connection = cast(MilvusConnection, milvus)
    collections = Collections(connection)
    collections.make_products()
    collections.make_vectors(STATE.made_number(CONTRACT.digest), CONTRACT.dimension)
    return BulkImport(connection, collections, STATE, folder)


def make_products(count: int = COUNT) -> list[NewProduct]:
    rng = np.random.default_rng(0)
    return [new_product(f"p{number}", random_embedding(rng)) for number in range(count)]


async def fill(milvus: FakeMilvus, folder: ImportFolder) -> None:
    rows = begin(milvus, folder)
    products = make_products()
    for start in range(0, COUNT, 60):
        await rows.add(products[start : start + 60])
    await rows.add([])
    await rows.finish()


async def test_vectors_are_seen_before_the_first_product_is_imported(
    folder: ImportFolder, tmp_path: Path
) -> None:
    milvus = FakeMilvus()
    await fill(milvus, folder)
    # Files are full by batches of 60: none is much larger than it may be.
    assert milvus.read == [
        *((VECTORS, count) for count in (120, 120, 10)),
        *(("shop_products", count) for count in (120, 120, 10)),
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", [(2, 3, 5), (2, 6, 0)])
async def test_vectors_are_those_of_the_products_by_either_type(
    version: tuple[int, ...], folder: ImportFolder
) -> None:
    milvus = FakeMilvus(version=version)
    await fill(milvus, folder)
    named = {row["product_key"]: row["vector"] for row in milvus.rows[VECTORS]}
    for product in make_products():
        found = named[product.record.product_id.encode().hex()]
        halves = (
            np.array(found, np.float32).astype(np.float16)
            if version < (2, 6)
            else np.frombuffer(bytes(found), "<f2")
        )
        np.testing.assert_array_equal(halves, product.vectors[0].vector)


@pytest.mark.parametrize(
    ("milvus", "reason"),
    [
        (lambda: FakeMilvus(product_count=1), "never held a product"),
        (lambda: FakeMilvus(before=[FAILED, STARTED]), "was cut off"),
    ],
)
def test_a_catalogue_that_holds_products_or_may_soon_is_not_filled(
    milvus: Callable[[], FakeMilvus], reason: str, folder: ImportFolder
) -> None:
    with pytest.raises(BulkImportError, match=reason):
        begin(milvus(), folder)


async def test_why_milvus_fails_is_told_and_no_product_is_imported(folder: ImportFolder) -> None:
    milvus = FakeMilvus(before=[FAILED], failing=VECTORS)
    with pytest.raises(BulkImportError, match=f"{VECTORS}: no room"):
        await fill(milvus, folder)
    assert {collection for collection, _ in milvus.read} == {VECTORS}


@pytest.mark.parametrize(("excess", "reason"), [(-1, "but shows 249 of them"), (1, "holds 251")])
async def test_other_rows_than_were_imported_are_told(
    excess: int, reason: str, folder: ImportFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    milvus = FakeMilvus()
    monkeypatch.setattr(bulk_import, "_LONGEST_WAIT_S", 0.0)
    count = milvus.count

    def miscount(collection: str, condition: str, **named: Any) -> int:
        counted = count(collection, condition, **named)
        return COUNT + excess if collection == VECTORS else counted

    monkeypatch.setattr(milvus, "count", miscount)
    with pytest.raises(BulkImportError, match=reason):
        await fill(milvus, folder)
    assert "shop_products" not in milvus.rows
