"""The catalogue of one machine on files that are damaged, foreign, full or gone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.one_machine.filled_catalogue import (
    SMALL_GRAPH,
    change_database,
    fill,
    missing_products,
)
from tests.server.catalogue.products import (
    CONTRACT,
    made_by,
    new_product,
    query_of,
    random_embedding,
)
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.one_machine.backup import verify
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE, SqliteCatalogue
from twinshelf.server.catalogue.product_record import Deleted, ProductRecord
from twinshelf.server.catalogue.ranking import ValueLimit
from twinshelf.server.catalogue.rows.file_guard import FileGuard
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.catalogue.rows.schema import CatalogueFileError, vector_checksum
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueDamagedError, CatalogueFullError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        ("CREATE TABLE foreign_table (x);", "another program"),
        (
            "CREATE TABLE t (x); PRAGMA application_id = 1953985388; PRAGMA user_version = 99;",
            "schema version 99",
        ),
    ],
)
def test_files_that_are_no_catalogue_of_ours_are_refused(
    tmp_path: Path, statements: str, sentence: str
) -> None:
    connection = sqlite3.connect(tmp_path / "catalogue.sqlite")
    connection.executescript(statements)
    connection.close()
    with pytest.raises(CatalogueFileError, match=sentence):
        SqliteCatalogue(tmp_path, reader_count=1)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalogue.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(CatalogueFileError, match="cannot be read"):
        SqliteCatalogue(tmp_path, reader_count=1)


async def test_a_damaged_schema_whose_names_are_no_text_is_told(tmp_path: Path) -> None:
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.close()
    path = tmp_path / DATABASE
    data = path.read_bytes()
    assert b"tableproductsproducts" in data
    data = data.replace(b"tableproductsproducts", b"tableprod\xcectsproducts")
    path.write_bytes(data.replace(b"CREATE TABLE products", b"CREATX TABLE products"))
    with pytest.raises(CatalogueFileError, match="malformed database schema"):
        SqliteCatalogue(tmp_path, reader_count=1)
    assert not verify(path).is_clean


@pytest.mark.parametrize("length", [3, 62, 64])
async def test_a_damaged_vector_is_set_aside_and_named_and_all_else_is_found(
    tmp_path: Path, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    embeddings = await fill(tmp_path)
    for path in tmp_path.glob("index-*/*"):
        path.unlink()
    change_database(
        tmp_path,
        "UPDATE product_vectors SET vector = zeroblob(?) WHERE product_number = 5",
        length,
    )
    assert await missing_products(tmp_path, embeddings) == ["p4"]
    assert "product 5 is damaged and set aside" in caplog.text


@pytest.mark.parametrize(
    ("table", "pattern"), [("product_vectors", 7), ("product_vectors", 0), ("vectors_beside", 7)]
)
async def test_a_damaged_pattern_fails_no_other_match_or_write(
    tmp_path: Path, table: str, pattern: int
) -> None:
    embeddings = await fill(tmp_path, 6)
    other = make_contract("other")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.encoders.keep(other.digest)
    vectors = (made_by(CONTRACT, embeddings[4]), made_by(other, embeddings[4]))
    both = replace(new_product("p4", embeddings[4]), vectors=vectors)
    await catalogue.upsert(both)
    await catalogue.close()
    change_database(tmp_path, f"UPDATE {table} SET pattern = ? WHERE product_number = 5", pattern)

    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.open_index(other)
    assert catalogue.encoders.count_missing(CONTRACT.digest) == 0
    assert catalogue.encoders.count_missing(other.digest) == 5
    groups = catalogue._grouping.store
    for digest in (CONTRACT.digest, other.digest):
        assert await asyncio.to_thread(groups.pending, digest, 10)
    await asyncio.gather(
        catalogue.upsert(both), catalogue.upsert(new_product("new", embeddings[5]))
    )
    assert catalogue.indexed_vector_count == 7
    assert +catalogue._batches.counts == {
        (CONTRACT.digest, Pattern.BOTH): 7,
        (other.digest, Pattern.BOTH): 1,
    }
    await catalogue.close()
    assert verify(tmp_path / DATABASE).is_clean


async def test_a_product_of_a_damaged_vector_comes_without_an_embedding(tmp_path: Path) -> None:
    await fill(tmp_path, 6)
    change_database(tmp_path, "UPDATE product_vectors SET vector = zeroblob(64)")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    found = await catalogue.embedded_products(["p4"], CONTRACT)
    assert found["p4"].product.record.title == "title of p4"
    assert found["p4"].embedding is None
    assert (await catalogue.stats(None)).damaged_product_count >= 1
    await catalogue.close()


async def test_a_vector_that_is_not_finite_is_set_aside(tmp_path: Path) -> None:
    embeddings = await fill(tmp_path)
    for path in tmp_path.glob("index-*/*"):
        path.unlink()
    vector = np.full(32, np.nan, dtype=np.float16).tobytes()
    change_database(
        tmp_path,
        "UPDATE product_vectors SET vector = ?, checksum = ? WHERE product_number = 5",
        vector,
        vector_checksum(vector, 1, Pattern.BOTH, 1),
    )
    assert await missing_products(tmp_path, embeddings) == ["p4"]


@pytest.mark.parametrize(
    "damage",
    # The latter are no UTF-8.
    ["title = 'no'", "title = CAST(x'74ff' AS TEXT)", "attributes = CAST(x'7bff7d' AS TEXT)"],
)
async def test_a_damaged_product_is_left_out_of_hits_and_refused_by_name(
    tmp_path: Path, damage: str
) -> None:
    embeddings = await fill(tmp_path)
    change_database(tmp_path, f"UPDATE products SET {damage} WHERE product_id = 'p4'")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    for limit in (None, ValueLimit(field="brand", match_count=60)):  # the latter reads facets
        query = replace(query_of(embeddings[4], count=60), value_limit=limit)
        assert len((await catalogue.search(query)).hits) == 59
    with pytest.raises(CatalogueDamagedError, match="fields of product 'p4' are damaged"):
        await catalogue.product("p4")
    assert (await catalogue.stats(None)).damaged_product_count == 1
    await catalogue.upsert(new_product("p4", embeddings[4]))
    assert (await catalogue.stats(None)).damaged_product_count == 0
    hits = (await catalogue.search(query_of(embeddings[4], count=60))).hits
    assert len(hits) == 60
    await catalogue.close()


@pytest.mark.parametrize("title", ["'no'", "CAST(x'74ff' AS TEXT)"])
async def test_a_damaged_product_is_left_out_of_lists(tmp_path: Path, title: str) -> None:
    await fill(tmp_path, 6)
    change_database(
        tmp_path, f"UPDATE products SET title = {title} WHERE product_id IN ('p0', 'p2', 'p3')"
    )
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    listed = await catalogue.products_after("", 2)
    assert [each.record.product_id for each in listed] == ["p1", "p4"]
    assert (await catalogue.embedded_products(["p1", "p2"], CONTRACT)).keys() == {"p1"}
    assert (await catalogue.stats(None)).damaged_product_count == 3
    await catalogue.close()


async def test_a_vector_of_a_damaged_checksum_is_written_anew(tmp_path: Path) -> None:
    embeddings = await fill(tmp_path)
    change_database(
        tmp_path, "UPDATE product_vectors SET checksum = checksum + 1 WHERE product_number = 5"
    )
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    assert catalogue.indexed_vector_count == 59
    await catalogue.upsert(new_product("p4", embeddings[4]))
    assert catalogue.indexed_vector_count == 60
    await catalogue.close()
    assert verify(tmp_path / DATABASE).is_clean


@pytest.mark.parametrize("harm", ["image_vector = zeroblob(32)", "checksum = checksum + 1"])
async def test_a_damaged_further_photo_is_set_aside_and_written_anew(
    tmp_path: Path, harm: str
) -> None:
    rng = np.random.default_rng(12)
    first, second, third = (random_embedding(rng) for _ in range(3))
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.upsert(new_product("p", first, further=[second, third]))
    await catalogue.close()
    change_database(tmp_path, f"UPDATE further_photos SET {harm} WHERE photo_number = 1")
    assert verify(tmp_path / DATABASE).damaged == {1: "the checksum of its further photo 1 differs"}
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    assert (await catalogue.stats(None)).damaged_product_count == 1
    assert catalogue.indexed_vector_count == 2
    with pytest.raises(CatalogueDamagedError, match="further photo 1 differs; write it again"):
        await catalogue.changeable("p")
    await catalogue.upsert(new_product("p", first, further=[second, third]))
    assert catalogue.indexed_vector_count == 3
    assert (await catalogue.stats(None)).damaged_product_count == 0
    await catalogue.close()
    assert verify(tmp_path / DATABASE).is_clean


async def test_a_damaged_product_does_not_hold_up_the_changes(tmp_path: Path) -> None:
    await fill(tmp_path, 3)
    change_database(tmp_path, "UPDATE products SET title = 'no' WHERE product_id = 'p1'")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    changes = await catalogue.changes_after(0, 10)
    assert [(each.product_id, each.product is None) for each in changes] == [
        ("p0", False),
        ("p1", True),
        ("p2", False),
    ]
    assert not any(each.is_deletion for each in changes)
    await catalogue.close()


async def test_a_damaged_further_photo_of_the_encoder_beside_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    other = make_contract("other")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.encoders.keep(other.digest)
    product = new_product("p", random_embedding(rng), further=[random_embedding(rng)])
    beside = made_by(other, random_embedding(rng), [random_embedding(rng)])
    await catalogue.upsert(replace(product, vectors=(*product.vectors, beside)))
    await catalogue.close()
    assert verify(tmp_path / DATABASE).is_clean
    change_database(
        tmp_path,
        "UPDATE further_photos SET image_vector = zeroblob(32) WHERE encoder_number = "
        "(SELECT encoder_number FROM encoders WHERE digest = ?)",
        other.digest,
    )
    assert verify(tmp_path / DATABASE).damaged == {1: "the checksum of its further photo 1 differs"}


async def test_a_damaged_thumbnail_is_refused_and_written_anew(tmp_path: Path) -> None:
    product = new_product("p", random_embedding(np.random.default_rng(13)))
    product = replace(product, thumbnail=b"small")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.upsert(product)
    await catalogue.close()
    change_database(tmp_path, "UPDATE thumbnails SET jpeg = x'00'")
    assert verify(tmp_path / DATABASE).damaged == {1: "the checksum of its thumbnail differs"}
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    with pytest.raises(CatalogueDamagedError, match="thumbnail of product 'p' is damaged"):
        await catalogue.thumbnail("p")
    assert await catalogue.product("p") is not None
    await catalogue.upsert(product)
    assert await catalogue.thumbnail("p") == b"small"
    await catalogue.close()
    assert verify(tmp_path / DATABASE).is_clean


async def test_a_full_disk_refuses_products_while_reads_and_deletions_go_on(tmp_path: Path) -> None:
    embeddings = await fill(tmp_path)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    writer = catalogue._store._writer
    (page_count,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {page_count}")
    record = ProductRecord(product_id="large", description="x" * 1_000_000)
    large = new_product("large", embeddings[0], record=record)
    results = await asyncio.gather(
        catalogue.upsert(large), catalogue.delete(["p1"]), return_exceptions=True
    )
    assert isinstance(results[0], CatalogueFullError)
    assert not isinstance(results[1], BaseException)
    assert await catalogue.product("p1") is None
    assert await catalogue.product("p2") is not None
    assert (await catalogue.search(query_of(embeddings[2], count=1))).hits
    await catalogue.close()


async def test_a_full_disk_lets_many_deletions_pass_as_far_as_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = ProductStore.delete

    def delete_few(store: ProductStore, product_ids: Sequence[str]) -> Deleted:
        if len(product_ids) > 32 or "p110" in product_ids:
            raise CatalogueFullError("there is no room for SQLite's log")
        return delete(store, product_ids)

    await fill(tmp_path, 120)
    monkeypatch.setattr(FileGuard, "check", lambda _: None)  # while one reads, the log stays
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    monkeypatch.setattr(ProductStore, "delete", delete_few)
    deleted = await catalogue.delete([*(f"p{number}" for number in range(70)), "p3", "none"])
    assert (len(deleted.removed), deleted.missing) == (70, ("none",))
    assert (tmp_path / f"{DATABASE}-wal").stat().st_size == 0  # the disk has that again
    with pytest.raises(CatalogueFullError):
        await catalogue.delete([f"p{number}" for number in range(70, 120)])
    assert catalogue.product_count == catalogue.indexed_vector_count == 120 - 70 - 32
    await catalogue.close()


async def test_without_room_for_deletions_no_product_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embeddings = await fill(tmp_path)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", refuse)
    (tmp_path / "reserve").unlink()
    with pytest.raises(CatalogueFullError):
        await catalogue.upsert(new_product("new", embeddings[0]))
    assert (await catalogue.delete(["p1"])).missing == ()
    monkeypatch.undo()
    await catalogue.upsert(new_product("new", embeddings[0]))
    await catalogue.close()


@pytest.mark.parametrize("name", [DATABASE, f"{DATABASE}-wal"])
async def test_files_that_vanish_while_they_are_served_end_the_writes(
    tmp_path: Path, name: str
) -> None:
    embeddings = await fill(tmp_path)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.upsert(new_product("p0", embeddings[1]))
    assert catalogue.problem is None
    (tmp_path / name).unlink()
    assert catalogue.problem is not None
    with pytest.raises(CatalogueDamagedError, match=f"{name} (is gone|was replaced)"):
        await catalogue.upsert(new_product("p0", embeddings[0]))
    with pytest.raises(CatalogueDamagedError, match="nothing is written any more"):
        await catalogue.encoders.keep(CONTRACT.digest)
    await catalogue.close()


def harm_pages(path: Path) -> None:
    """Overwrites the heads of all pages but the first two."""
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 8)


async def test_a_file_with_a_damaged_structure_is_refused(tmp_path: Path) -> None:
    await fill(tmp_path, 300)
    harm_pages(tmp_path / DATABASE)
    with pytest.raises(CatalogueFileError, match="malformed"):
        SqliteCatalogue(tmp_path, reader_count=1)


def test_a_disk_that_is_full_is_not_said_to_be_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk is full")

    monkeypatch.setattr(ProductStore, "__init__", fails)
    with pytest.raises(CatalogueFileError, match="cannot be opened: disk is full"):
        SqliteCatalogue(tmp_path, reader_count=1)


async def test_a_check_finds_a_structure_that_is_damaged_while_it_is_served(
    tmp_path: Path,
) -> None:
    await fill(tmp_path, 300)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    harm_pages(tmp_path / DATABASE)
    await asyncio.to_thread(catalogue._store.guard.check)
    assert catalogue.problem is not None and "is damaged" in catalogue.problem.message
    await catalogue.close()
