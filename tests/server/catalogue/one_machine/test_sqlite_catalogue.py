"""The catalogue of one machine: its snapshots, its searches, and writes beside both."""

from __future__ import annotations

import asyncio
import errno
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from tests.server.catalogue.one_machine.filled_catalogue import (
    SMALL_GRAPH,
    change_database,
    fill,
    index_files,
    missing_products,
)
from tests.server.catalogue.products import (
    CONTRACT,
    new_product,
    query_of,
    random_embedding,
)
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.index.catalogue_index import CatalogueIndex
from twinshelf.server.catalogue.index.graph import IndexConfig
from twinshelf.server.catalogue.index.graph_build import BuildStoppedError
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.one_machine.upkeep import UpkeepConfig
from twinshelf.server.catalogue.product_record import ProductVector, VectorTable
from twinshelf.server.catalogue.rows.schema import CatalogueFileError
from twinshelf.server.catalogue.rows.vector_reader import VectorReader
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern, Weights
from twinshelf.server.errors import CatalogueFullError, ServerStoppingError

pytestmark = pytest.mark.slow


async def test_a_product_replaced_a_thousand_times_hides_no_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    catalogue = SqliteCatalogue(
        tmp_path,
        reader_count=1,
        config=IndexConfig(exact_limit=0, scanned_per_found=0, churn_floor=100_000),
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


def test_vectors_that_are_not_finite_are_refused() -> None:
    vector = np.full(32, np.nan, dtype=np.float16)
    with pytest.raises(ValueError, match="finite"):
        ProductVector(pattern=Pattern.BOTH, vector=vector, digest="x")


async def test_a_start_from_a_snapshot_reads_no_vector_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embeddings = await fill(tmp_path)
    assert len(index_files(tmp_path, ".graph")) == 1
    # Would be noticed as damaged, if it were read.
    change_database(tmp_path, "UPDATE product_vectors SET vector = x'00'")
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    hits = (await catalogue.search(query_of(embeddings[7], count=1))).hits
    assert hits[0].product.record.product_id == "p7"
    assert "read anew" not in caplog.text.partition("manifest.json")[2]
    await catalogue.close()


@pytest.mark.parametrize("broken", ["build_graph", "os.replace", "write_synced"])
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "no room"), CatalogueFullError),
        (OSError(errno.EDQUOT, "no room"), CatalogueFullError),
        (BuildStoppedError("no time"), ServerStoppingError),
        (OSError(errno.EIO, "no disk"), OSError),
    ],
)
async def test_a_snapshot_that_failed_leaves_nothing_and_is_written_the_next_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    error: Exception,
    told: type[Exception],
) -> None:
    def fails(*_: object) -> None:
        raise error

    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    rng = np.random.default_rng(0)
    for number in range(60):
        await catalogue.upsert(new_product(f"p{number}", random_embedding(rng)))
    with monkeypatch.context() as patched:
        patched.setattr(f"twinshelf.server.catalogue.index.snapshot.{broken}", fails)
        for _ in range(2):
            with pytest.raises(told):
                await catalogue.snapshot()
    assert bool(index_files(tmp_path, ".vectors")) == (broken == "os.replace")
    assert (await catalogue.snapshot()).vector_count == 60
    assert index_files(tmp_path, "manifest.json")
    await catalogue.close()


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.ENOSPC, CatalogueFullError), (errno.EDQUOT, CatalogueFullError), (0, RuntimeError)],
)
async def test_a_graph_that_the_disk_has_no_room_for_is_told_from_others_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: type[Exception]
) -> None:
    def fails(*_: object) -> None:
        found = OSError(number, "no room") if number else None
        patched.setattr("os.posix_fallocate", Mock(side_effect=found))
        raise RuntimeError("Failed to serialize into stream")  # as usearch says it

    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.upsert(new_product("p", random_embedding(np.random.default_rng(0))))
    with monkeypatch.context() as patched:
        patched.setattr("twinshelf.server.catalogue.index.snapshot.build_graph", fails)
        with pytest.raises(told):
            await catalogue.snapshot()
    await catalogue.close()


async def test_snapshots_whose_callers_left_take_no_threads_from_others(tmp_path: Path) -> None:
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    with catalogue._upkeep._merging:  # as long as a large graph is built
        for _ in range(40):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(catalogue.snapshot(), 0.001)
        assert await asyncio.wait_for(catalogue.groups.pending_count(), 5) == 0
    assert (await catalogue.snapshot()).vector_count == 0
    await catalogue.close()


async def test_the_end_does_not_wait_for_a_large_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("twinshelf.server.catalogue.one_machine.upkeep._LAST_MERGE_S", 0.0)
    config = replace(SMALL_GRAPH, apart_limit=10)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=config)
    await catalogue.use_encoder(CONTRACT)
    rng = np.random.default_rng(0)
    for number in range(60):
        await catalogue.upsert(new_product(f"p{number}", random_embedding(rng)))
    await catalogue.close()
    assert "waits for the next start: the graph of 60 vectors was not built" in caplog.text
    assert not index_files(tmp_path, "")

    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=config)
    await catalogue.use_encoder(CONTRACT)
    assert (await catalogue.snapshot()).vector_count == 60
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
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
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


async def test_live_recall_is_measured_on_the_queries_of_callers(tmp_path: Path) -> None:
    embeddings = await fill(tmp_path)
    catalogue = SqliteCatalogue(
        tmp_path,
        reader_count=1,
        config=SMALL_GRAPH,
        upkeep=UpkeepConfig(recall_interval_s=0.01),
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
    catalogue = SqliteCatalogue(tmp_path, reader_count=2, config=SMALL_GRAPH)
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
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    opening = asyncio.ensure_future(catalogue.use_encoder(CONTRACT))
    await asyncio.to_thread(reading.wait)
    rng = np.random.default_rng(13)
    embeddings.append(embeddings[0])
    for number in (7, 60, 7):
        embeddings[number] = random_embedding(rng)
        await catalogue.upsert(new_product(f"p{number}", embeddings[number]))
    await catalogue.delete(["p8"])
    assert not opening.done()
    # No write waits for all that.
    by_writer = []
    learn = CatalogueIndex.catch_up

    def note(*arguments: Any) -> None:
        by_writer.append(threading.current_thread().name == "catalogue-writer")
        learn(*arguments)

    monkeypatch.setattr(CatalogueIndex, "catch_up", note)
    may_go_on.set()
    await opening
    assert by_writer == [False] * 4
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
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(catalogue.use_encoder(CONTRACT), 0.05)
    first = catalogue._opening._opening
    may_go_on.set()
    await catalogue.use_encoder(CONTRACT)
    assert catalogue._opening._opening is first
    await catalogue.close()


async def test_a_catalogue_that_is_closed_at_once_has_read_its_facets(tmp_path: Path) -> None:
    await fill(tmp_path)
    for _ in range(20):
        catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
        opening = asyncio.ensure_future(catalogue.use_encoder(CONTRACT))
        await asyncio.sleep(0)
        await catalogue.close()
        assert catalogue._batches.facets.table is not None
        await opening


async def test_snapshots_of_the_last_two_encoders_are_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
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
