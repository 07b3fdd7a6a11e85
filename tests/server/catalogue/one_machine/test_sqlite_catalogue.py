"""The catalogue of one machine: its files, its snapshots, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.server.catalogue.products import (
    CONTRACT,
    made_by,
    new_product,
    query_of,
    random_embedding,
)
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.index.graph import IndexSettings
from twinshelf.server.catalogue.one_machine.backup import verify
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE, SqliteCatalogue
from twinshelf.server.catalogue.one_machine.upkeep import UpkeepSettings
from twinshelf.server.catalogue.product_record import ProductRecord, ProductVector, VectorTable
from twinshelf.server.catalogue.rows.schema import CatalogueFileError, vector_checksum
from twinshelf.server.catalogue.rows.vector_reader import VectorReader
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern, Weights
from twinshelf.server.errors import CatalogueDamagedError, CatalogueFullError

pytestmark = pytest.mark.slow


async def test_a_product_replaced_a_thousand_times_hides_no_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    catalogue = SqliteCatalogue(
        tmp_path,
        reader_count=1,
        settings=IndexSettings(exact_limit=0, scanned_per_found=0, churn_floor=100_000),
    )
    await catalogue.use_encoder(CONTRACT)
    near = random_embedding(rng, Pattern.BOTH)
    assert near.image is not None
    for number in range(20):
        await catalogue.upsert(new_product(f"p{number}", random_embedding(rng, Pattern.BOTH)))
    writes = []
    for _ in range(1000):
        image = near.image + 1e-2 * rng.normal(size=16).astype(np.float32)
        moved = OfferEmbedding(image=image / np.linalg.norm(image), text=near.text)
        writes.append(catalogue.upsert(new_product("busy", moved)))
    await asyncio.gather(*writes)
    hits = (await catalogue.search(query_of(near, count=21))).hits
    assert len(hits) == 21
    assert hits[0].product.record.product_id == "busy"
    assert (await catalogue.stats(CONTRACT.digest)).indexed_vector_count == 21
    await catalogue.close()


async def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    with pytest.raises(CatalogueFileError, match="another process"):
        SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.close()
    await SqliteCatalogue(tmp_path, reader_count=1).close()


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


def test_vectors_that_are_not_finite_are_refused() -> None:
    vector = np.full(32, np.nan, dtype=np.float16)
    with pytest.raises(ValueError, match="finite"):
        ProductVector(pattern=Pattern.BOTH, vector=vector, digest="x")


SMALL_GRAPH = IndexSettings(slot_count=2, exact_limit=0, scanned_per_found=0)


async def fill(folder: Path, count: int = 60) -> list[OfferEmbedding]:
    """Stores products p0, p1, ... and closes the catalogue; returns their embeddings."""
    rng = np.random.default_rng(11)
    catalogue = SqliteCatalogue(folder, reader_count=2, settings=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    embeddings = [random_embedding(rng) for _ in range(count)]
    await asyncio.gather(
        *(catalogue.upsert(new_product(f"p{i}", each)) for i, each in enumerate(embeddings))
    )
    await catalogue.close()
    return embeddings


async def missing_products(folder: Path, embeddings: list[OfferEmbedding]) -> list[str]:
    """Opens the catalogue and names the products that are not the first hit of themselves."""
    catalogue = SqliteCatalogue(folder, reader_count=2, settings=SMALL_GRAPH)
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


def change_database(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute(statement, values)
        connection.commit()


async def test_a_start_from_a_snapshot_reads_no_vector_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embeddings = await fill(tmp_path)
    assert len(index_files(tmp_path, ".graph")) == 1
    # Would be noticed as damaged, if it were read.
    change_database(tmp_path, "UPDATE product_vectors SET vector = x'00'")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    hits = (await catalogue.search(query_of(embeddings[7], count=1))).hits
    assert hits[0].product.record.product_id == "p7"
    assert "read anew" not in caplog.text.partition("manifest.json")[2]
    await catalogue.close()


@pytest.mark.parametrize("broken", ["build_graph", "os.replace"])
async def test_a_snapshot_that_failed_leaves_nothing_and_is_written_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fails(*_: object) -> None:
        """Stands for a full disk."""
        raise OSError("no room")

    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    rng = np.random.default_rng(0)
    for number in range(60):
        await catalogue.upsert(new_product(f"p{number}", random_embedding(rng)))
    with monkeypatch.context() as patched:
        patched.setattr(f"twinshelf.server.catalogue.index.snapshot.{broken}", fails)
        for _ in range(2):
            with pytest.raises(OSError, match="no room"):
                await catalogue.snapshot()
    assert bool(index_files(tmp_path, ".vectors")) == (broken == "os.replace")
    assert (await catalogue.snapshot()).vector_count == 60
    assert index_files(tmp_path, "manifest.json")
    await catalogue.close()


async def test_the_first_snapshot_may_be_of_nothing_that_is_left(tmp_path: Path) -> None:
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.upsert(new_product("p", random_embedding(np.random.default_rng(0))))
    await catalogue.delete(["p"])
    assert (await catalogue.snapshot()).vector_count == 0
    await catalogue.close()


async def test_changes_since_the_snapshot_are_caught_up(tmp_path: Path) -> None:
    embeddings = await fill(tmp_path)
    saved = {path: path.read_bytes() for path in tmp_path.glob("index-*/*")}
    rng = np.random.default_rng(12)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    embeddings[3] = random_embedding(rng)
    await catalogue.upsert(new_product("p3", embeddings[3]))
    await catalogue.delete(["p59"])
    embeddings[59] = random_embedding(rng)
    await catalogue.upsert(new_product("p59", embeddings[59]))
    await catalogue.delete(["p58"])
    await catalogue.close()
    # As a crash leaves it: the snapshot is the old one.
    for path in tmp_path.glob("index-*/*"):
        path.unlink()
    for path, content in saved.items():
        path.write_bytes(content)
    assert await missing_products(tmp_path, embeddings) == ["p58"]


@pytest.mark.parametrize("ending", [".graph", ".vectors", ".columns", "manifest.json"])
@pytest.mark.parametrize("harm", ["torn", "flipped", "missing"])
async def test_a_snapshot_that_cannot_be_trusted_is_named_and_made_anew(
    tmp_path: Path, ending: str, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    embeddings = await fill(tmp_path)
    (path,) = index_files(tmp_path, ending)
    content = bytearray(path.read_bytes())
    if harm == "flipped":
        content[len(content) // 2] ^= 0x10
    path.write_bytes(content if harm == "flipped" else content[: len(content) // 2])
    if harm == "missing":
        path.unlink()
    caplog.clear()
    assert await missing_products(tmp_path, embeddings) == []
    assert path.name in caplog.text
    caplog.clear()
    assert await missing_products(tmp_path, embeddings) == []
    assert "anew" not in caplog.text


async def test_a_snapshot_of_another_catalogue_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embeddings = await fill(tmp_path)
    change_database(tmp_path, "UPDATE catalogue_state SET catalogue_id = 'another'")
    assert await missing_products(tmp_path, embeddings) == []
    assert "is foreign: catalogue_id must be another" in caplog.text


async def test_writes_that_were_lost_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embeddings = await fill(tmp_path)
    change_database(tmp_path, "DELETE FROM products WHERE product_id = 'p5'")
    change_database(tmp_path, "UPDATE catalogue_state SET change_sequence = 59")
    assert await missing_products(tmp_path, embeddings) == ["p5"]
    assert "knows of change 60, the catalogue of 59 only: writes were lost" in caplog.text


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


async def test_a_damaged_product_is_left_out_of_hits_and_refused_by_name(tmp_path: Path) -> None:
    embeddings = await fill(tmp_path)
    change_database(tmp_path, "UPDATE products SET title = 'no' WHERE product_id = 'p4'")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    hits = (await catalogue.search(query_of(embeddings[4], count=60))).hits
    assert len(hits) == 59
    with pytest.raises(CatalogueDamagedError, match="fields of product 'p4' are damaged"):
        await catalogue.product("p4")
    assert (await catalogue.stats(None)).damaged_product_count == 1
    await catalogue.upsert(new_product("p4", embeddings[4]))
    assert (await catalogue.stats(None)).damaged_product_count == 0
    hits = (await catalogue.search(query_of(embeddings[4], count=60))).hits
    assert len(hits) == 60
    await catalogue.close()


async def test_a_damaged_product_is_left_out_of_lists(tmp_path: Path) -> None:
    await fill(tmp_path, 6)
    change_database(
        tmp_path, "UPDATE products SET title = 'no' WHERE product_id IN ('p0', 'p2', 'p3')"
    )
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    listed = await catalogue.products_after("", 2)
    assert [each.record.product_id for each in listed] == ["p1", "p4"]
    assert (await catalogue.embedded_products(["p1", "p2"], CONTRACT)).keys() == {"p1"}
    assert (await catalogue.stats(None)).damaged_product_count == 3
    await catalogue.close()


async def test_a_product_is_found_by_its_photo_however_little_that_counts(tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    photos = [random_embedding(rng, Pattern.IMAGE) for _ in range(300)]
    for number, photo in enumerate(photos):
        await catalogue.upsert(new_product(f"p{number}", photo))
    offer = OfferEmbedding(image=photos[250].image, text=random_embedding(rng).text)
    page = await catalogue.search(query_of(offer, weights=Weights(image=1e-9, text=1)))
    assert page.hits[0].product.record.product_id == "p250"
    await catalogue.close()


async def test_an_identifier_with_a_zero_in_it_is_no_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(13)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    for product_id in ("a", "a\0b"):
        await catalogue.upsert(new_product(product_id, random_embedding(rng)))
    assert (await catalogue.embedded_products(["a\0b"], CONTRACT)).keys() == {"a\0b"}
    await catalogue.close()


async def test_a_vector_of_a_damaged_checksum_is_written_anew(tmp_path: Path) -> None:
    embeddings = await fill(tmp_path)
    change_database(
        tmp_path, "UPDATE product_vectors SET checksum = checksum + 1 WHERE product_number = 5"
    )
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
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


async def test_a_full_disk_refuses_products_while_reads_and_deletions_go_on(
    tmp_path: Path,
) -> None:
    embeddings = await fill(tmp_path)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
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


async def test_without_room_for_deletions_no_product_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embeddings = await fill(tmp_path)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)

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
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
    await catalogue.upsert(new_product("p0", embeddings[1]))
    assert catalogue.problem is None
    (tmp_path / name).unlink()
    assert catalogue.problem is not None
    with pytest.raises(CatalogueDamagedError, match=f"{name} is gone"):
        await catalogue.upsert(new_product("p0", embeddings[0]))
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


async def test_a_check_finds_a_structure_that_is_damaged_while_it_is_served(
    tmp_path: Path,
) -> None:
    await fill(tmp_path, 300)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
    harm_pages(tmp_path / DATABASE)
    await asyncio.to_thread(catalogue._store.guard.check)
    assert catalogue.problem is not None and "is damaged" in catalogue.problem.message
    await catalogue.close()


async def test_live_recall_is_measured_on_the_queries_of_callers(tmp_path: Path) -> None:
    embeddings = await fill(tmp_path)
    catalogue = SqliteCatalogue(
        tmp_path,
        reader_count=1,
        settings=SMALL_GRAPH,
        upkeep=UpkeepSettings(recall_interval_s=0.01),
    )
    await catalogue.use_encoder(CONTRACT)
    assert np.isnan(catalogue.live_recall)
    async with asyncio.timeout(20):
        while np.isnan(catalogue.live_recall):
            await catalogue.search(query_of(embeddings[0]))
            await asyncio.sleep(0.05)
    assert 0.9 <= catalogue.live_recall <= 1
    await catalogue.close()


async def test_writes_pass_while_a_graph_is_built(tmp_path: Path) -> None:
    embeddings = await fill(tmp_path, 400)
    for path in tmp_path.glob("index-*/*"):
        path.unlink()
    catalogue = SqliteCatalogue(tmp_path, reader_count=2, settings=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    snapshot = asyncio.ensure_future(catalogue.snapshot())
    for number in range(50):
        await catalogue.upsert(new_product(f"p{number}", embeddings[399 - number]))
        hits = (await catalogue.search(query_of(embeddings[399 - number], count=2))).hits
        assert {hit.product.record.product_id for hit in hits} == {
            f"p{number}",
            f"p{399 - number}",
        }
    assert (await snapshot).vector_count == 400
    await catalogue.close()


async def test_writes_pass_while_an_index_is_read_anew_and_are_found_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embeddings = await fill(tmp_path)
    for path in tmp_path.glob("index-*/*"):
        path.unlink()
    reading, may_go_on = threading.Event(), threading.Event()
    read = VectorReader.table

    def read_slowly(*arguments: Any) -> VectorTable:
        reading.set()
        may_go_on.wait()
        return read(*arguments)

    monkeypatch.setattr(VectorReader, "table", read_slowly)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
    opening = asyncio.ensure_future(catalogue.use_encoder(CONTRACT))
    await asyncio.to_thread(reading.wait)
    rng = np.random.default_rng(13)
    embeddings.append(embeddings[0])
    for number in (7, 60, 7):
        embeddings[number] = random_embedding(rng)
        await catalogue.upsert(new_product(f"p{number}", embeddings[number]))
    await catalogue.delete(["p8"])
    assert not opening.done()
    may_go_on.set()
    await opening
    assert (await catalogue.stats(None)).indexed_vector_count == 60
    await catalogue.close()
    assert await missing_products(tmp_path, embeddings) == ["p8"]


async def test_an_index_is_opened_though_its_first_caller_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(tmp_path)
    may_go_on = threading.Event()
    keys = VectorReader.keys
    monkeypatch.setattr(
        VectorReader, "keys", lambda *arguments: may_go_on.wait() and keys(*arguments)
    )
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(catalogue.use_encoder(CONTRACT), 0.05)
    first = catalogue._opening
    may_go_on.set()
    await catalogue.use_encoder(CONTRACT)
    assert catalogue._opening is first
    await catalogue.close()


async def test_a_catalogue_that_is_closed_at_once_has_read_its_facets(tmp_path: Path) -> None:
    await fill(tmp_path)
    for _ in range(20):
        catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
        opening = asyncio.ensure_future(catalogue.use_encoder(CONTRACT))
        await asyncio.sleep(0)
        await catalogue.close()
        assert catalogue._facets.table is not None
        await opening


async def test_snapshots_of_the_last_two_encoders_are_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, settings=SMALL_GRAPH)
    kept = []
    for name in ("first", "second", "third"):
        contract = make_contract(name)
        await catalogue.use_encoder(contract)
        await catalogue.upsert(new_product("p", random_embedding(rng), contract))
        await catalogue.snapshot()
        kept.append({path.name for path in tmp_path.glob("index-*")})
    assert [len(names) for names in kept] == [1, 2, 2]
    assert len(kept[2] - kept[1]) == 1
    await catalogue.close()
