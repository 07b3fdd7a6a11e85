"""Vectors and products are removed in many steps; what else happens between two of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.one_machine.filled_catalogue import SMALL_GRAPH, change_database
from tests.server.catalogue.products import (
    CONTRACT,
    made_by,
    new_product,
    random_embedding,
)
from tests.server.catalogue.test_catalogue_encoders import NEW, best, fill, reindex
from twinshelf.server.catalogue.index import snapshot
from twinshelf.server.catalogue.index.catalogue_index import CatalogueIndex
from twinshelf.server.catalogue.index.graph_build import (
    BuildStoppedError,
    GraphPlan,
    build_graph,
)
from twinshelf.server.catalogue.one_machine import catalogue_encoders, sqlite_catalogue
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_record import Deleted, Dropped
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.errors import (
    CatalogueFullError,
    EncoderConflictError,
    ServerStoppingError,
)

pytestmark = pytest.mark.slow
COUNT = 10


class HeldStep:
    """Holds a drop back after its first steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        steps = 0
        drop_some = ProductStore.drop_some

        def slowly(store: ProductStore, digest: str, count: int) -> Dropped:
            nonlocal steps
            steps += 1
            if steps == 3:
                self.begun.set()
                self.may_go_on.wait(20)
            return drop_some(store, digest, count)

        monkeypatch.setattr(catalogue_encoders, "_DROP_BLOCK", 2)
        monkeypatch.setattr(ProductStore, "drop_some", slowly)

    async def drop(self, catalogue: SqliteCatalogue) -> asyncio.Task[int]:
        """Begins to drop the new encoder."""
        task = asyncio.ensure_future(catalogue.encoders.drop(NEW.digest))
        await asyncio.to_thread(self.begun.wait)
        return task


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldStep]:
    held = HeldStep(monkeypatch)
    yield held
    held.may_go_on.set()  # where the test has failed


def open_catalogue(folder: Path) -> SqliteCatalogue:
    return SqliteCatalogue(folder, reader_count=2, config=SMALL_GRAPH)


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[SqliteCatalogue]:
    """A catalogue that both encoders have embedded; one product has further photos."""
    catalogue = open_catalogue(tmp_path)
    rng = np.random.default_rng(1)
    await fill(catalogue, rng, COUNT - 1)
    await reindex(catalogue, rng)
    further = [random_embedding(rng) for _ in range(3)]
    product = new_product("many", random_embedding(rng), further=further)
    both = (*product.vectors, made_by(NEW, random_embedding(rng), further))
    await catalogue.upsert(replace(product, vectors=both))
    yield catalogue
    await catalogue.close()


def check_counts(catalogue: SqliteCatalogue, dropped_count: int = COUNT) -> None:
    """Compares what is counted with what stands in the file."""
    reader = catalogue._store.reader
    assert +catalogue._batches.counts == +reader.counts()
    for digest in (CONTRACT.digest, NEW.digest):
        further_count = reader.vectors.further_counts()[digest]
        assert catalogue._batches.further_count(digest) == further_count
    assert catalogue.encoders.count_missing(NEW.digest) == dropped_count
    assert catalogue.encoders.count_missing(CONTRACT.digest) == 0


async def check_reindexed(catalogue: SqliteCatalogue) -> None:
    """Embeds all again, and switches."""
    new = await reindex(catalogue, np.random.default_rng(2))
    assert len(new) == COUNT
    await catalogue.encoders.switch(NEW)
    for product_id, embedding in new.items():
        assert await best(catalogue, embedding, NEW) == product_id
    assert catalogue.indexed_vector_count == COUNT


async def test_a_drop_goes_on_though_its_caller_leaves(
    catalogue: SqliteCatalogue, held: HeldStep
) -> None:
    first = await held.drop(catalogue)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    check_counts(catalogue, 4)
    second = asyncio.ensure_future(catalogue.encoders.drop(NEW.digest))
    held.may_go_on.set()
    assert await second == COUNT
    check_counts(catalogue)
    await check_reindexed(catalogue)


async def test_a_deletion_of_many_lets_writes_pass_and_goes_on_though_its_caller_leaves(
    catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_catalogue, "_DELETED_AT_ONCE", 2)
    begun, may_go_on = threading.Event(), threading.Event()
    delete = ProductStore.delete

    def delete_slowly(store: ProductStore, product_ids: Sequence[str]) -> Deleted:
        begun.set()
        may_go_on.wait(5)
        return delete(store, product_ids)

    monkeypatch.setattr(ProductStore, "delete", delete_slowly)
    ids = [*(f"p{number}" for number in range(COUNT - 1)), "p0"]
    deleting = asyncio.ensure_future(catalogue.delete(ids))
    await asyncio.to_thread(begun.wait)
    new = new_product("new", random_embedding(np.random.default_rng(3)))
    writing = asyncio.ensure_future(catalogue.upsert(new))
    deleting.cancel()
    may_go_on.set()
    await writing
    assert catalogue.product_count > 4  # two parts may be gone
    async with asyncio.timeout(5):
        while catalogue.product_count > 2:
            await asyncio.sleep(0.01)
    deleted = await catalogue.delete(["many", "p0"])
    assert (len(deleted.removed), deleted.missing) == (1, ("p0",))


async def test_a_full_disk_lets_a_drop_pass(
    catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_some = ProductStore.drop_some

    def drop_few(store: ProductStore, digest: str, count: int) -> Dropped:
        if count > 32:
            raise CatalogueFullError("there is no room for SQLite's log")
        return drop_some(store, digest, count)

    monkeypatch.setattr(ProductStore, "drop_some", drop_few)
    assert await catalogue.encoders.drop(NEW.digest) == COUNT
    check_counts(catalogue)


async def test_no_encoder_is_kept_again_or_switched_to_while_it_is_dropped(
    catalogue: SqliteCatalogue, held: HeldStep
) -> None:
    drop = await held.drop(catalogue)
    with pytest.raises(EncoderConflictError, match="being dropped"):
        await catalogue.encoders.keep(NEW.digest)
    with pytest.raises(EncoderConflictError, match="reindex it first"):
        await catalogue.encoders.switch(NEW)
    held.may_go_on.set()
    await drop
    check_counts(catalogue)
    await check_reindexed(catalogue)


async def test_a_drop_ends_where_its_encoder_comes_to_serve(
    catalogue: SqliteCatalogue, held: HeldStep
) -> None:
    drop = await held.drop(catalogue)
    serving = asyncio.ensure_future(catalogue.encoders.serve(NEW, instead_of=CONTRACT.digest))
    await asyncio.sleep(0)  # it stands in the queue of the writer
    held.may_go_on.set()
    await serving
    with pytest.raises(EncoderConflictError, match="serves"):
        await drop
    # One more step may have come into the batch of the change of encoders.
    dropped_count = catalogue.encoders.count_missing(NEW.digest)
    assert dropped_count in (6, 8)
    check_counts(catalogue, dropped_count)


async def test_what_a_stop_leaves_of_a_drop_is_counted_and_dropped_by_a_repeat(
    tmp_path: Path, catalogue: SqliteCatalogue, held: HeldStep
) -> None:
    drop = await held.drop(catalogue)
    closing = asyncio.ensure_future(asyncio.to_thread(catalogue._writes.close))
    while not catalogue._writes._closed:
        await asyncio.sleep(0.01)
    held.may_go_on.set()
    await closing
    with pytest.raises(ServerStoppingError):
        await drop
    await catalogue.close()
    again = open_catalogue(tmp_path)
    await again.use_encoder(CONTRACT)
    check_counts(again, 6)
    assert await again.encoders.drop(NEW.digest) == 4
    check_counts(again)
    await again.close()


async def test_an_index_that_is_opened_while_its_encoder_is_dropped_has_no_vector_of_before(
    tmp_path: Path, catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catalogue.close()
    catalogue = open_catalogue(tmp_path)
    await catalogue.use_encoder(CONTRACT)
    read, may_go_on = threading.Event(), threading.Event()
    open_index = CatalogueIndex.open

    def open_slowly(*arguments: object) -> CatalogueIndex:
        index = open_index(*arguments)  # type: ignore[arg-type]
        read.set()
        may_go_on.wait(20)
        return index

    monkeypatch.setattr(CatalogueIndex, "open", open_slowly)
    opening = asyncio.ensure_future(catalogue.open_index(NEW))
    await asyncio.to_thread(read.wait)
    assert await catalogue.encoders.drop(NEW.digest) == COUNT
    may_go_on.set()
    await opening
    check_counts(catalogue)
    await check_reindexed(catalogue)
    await catalogue.close()


@pytest.mark.parametrize("is_large", [False, True])
async def test_a_snapshot_beside_a_drop_leaves_nothing_of_the_dropped_encoder(
    tmp_path: Path, catalogue: SqliteCatalogue, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    begun = threading.Event()

    def build(plan: GraphPlan, stopped: threading.Event) -> None:
        if plan.target.parent == snapshot.snapshot_folder(tmp_path, NEW.digest):
            begun.set()
            assert stopped.wait(10)
            if is_large:
                raise BuildStoppedError
        build_graph(plan, stopped)

    monkeypatch.setattr(snapshot, "build_graph", build)
    report = asyncio.ensure_future(catalogue.snapshot())
    await asyncio.to_thread(begun.wait)
    assert await catalogue.encoders.drop(NEW.digest) == COUNT
    assert (await report).vector_count == COUNT + 3  # further photos
    assert list(tmp_path.glob("index-*")) == [snapshot.snapshot_folder(tmp_path, CONTRACT.digest)]
    monkeypatch.undo()
    await check_reindexed(catalogue)


async def test_nothing_is_dropped_while_no_encoder_serves(
    tmp_path: Path, catalogue: SqliteCatalogue
) -> None:
    await catalogue.encoders.drop(NEW.digest)
    await catalogue.close()
    change_database(tmp_path, "UPDATE catalogue_state SET current_encoder = NULL")  # as of before
    again = open_catalogue(tmp_path)
    with pytest.raises(EncoderConflictError, match="no encoder serves yet"):
        await again.encoders.drop(CONTRACT.digest)
    await again.close()
