"""What the catalogue of one machine breaks off, and what it waits for, when it has to stop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.one_machine.filled_catalogue import SMALL_GRAPH
from tests.server.catalogue.products import CONTRACT, new_product, random_embedding
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.groups.group_reader import GroupReader
from twinshelf.server.catalogue.index import snapshot
from twinshelf.server.catalogue.index.graph_build import (
    BuildStoppedError,
    GraphPlan,
    build_graph,
)
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.errors import ServerStoppingError


def long_statement(count: int) -> str:
    """Returns what counts a million rows in a quarter of a second."""
    numbers = f"VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT {count}"
    return f"WITH RECURSIVE n(i) AS ({numbers}) SELECT count(*) FROM n"


async def test_the_end_breaks_off_a_check_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def find_slowly(reader: sqlite3.Connection) -> Iterator[tuple[int, str]]:
        begun.set()
        reader.execute(long_statement(20_000_000)).fetchone()
        ended.set()
        yield 1, "told too late"

    monkeypatch.setattr("twinshelf.server.catalogue.rows.file_guard.find_damaged_rows", find_slowly)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await asyncio.to_thread(begun.wait)
    await catalogue.close()
    assert not ended.is_set()
    assert "is damaged" not in caplog.text


async def test_the_graph_of_an_encoder_that_another_has_replaced_is_not_built_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def build(plan: GraphPlan, stopped: threading.Event) -> None:
        if plan.target.parent != snapshot.snapshot_folder(tmp_path, CONTRACT.digest):
            build_graph(plan, stopped)
            return
        begun.set()
        assert stopped.wait(5)
        raise BuildStoppedError

    monkeypatch.setattr(snapshot, "build_graph", build)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1, config=SMALL_GRAPH)
    await catalogue.use_encoder(CONTRACT)
    await catalogue.upsert(new_product("p", random_embedding(np.random.default_rng(0))))
    written = asyncio.ensure_future(catalogue.snapshot())
    await asyncio.to_thread(begun.wait)
    await catalogue.use_encoder(make_contract("second", 2))
    assert (await written).vector_count == 0
    assert not list(tmp_path.glob("index-*/*"))
    await catalogue.close()


async def test_no_index_is_opened_while_the_catalogue_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    may_go_on = threading.Event()
    close = catalogue._upkeep.close
    monkeypatch.setattr(catalogue._upkeep, "close", lambda: may_go_on.wait(5) and close())
    closing = asyncio.ensure_future(catalogue.close())
    await asyncio.sleep(0)
    with pytest.raises(ServerStoppingError):
        await catalogue.use_encoder(CONTRACT)
    may_go_on.set()
    await closing


@pytest.mark.slow
async def test_the_end_waits_for_who_reads_groups(tmp_path: Path) -> None:
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    reader = catalogue._grouping.store.reader
    assert isinstance(reader, GroupReader)
    counting = asyncio.to_thread(reader._select, long_statement(1_000_000), ())
    counted = asyncio.ensure_future(counting)
    while not reader._lock.locked():
        await asyncio.sleep(0.01)
    await catalogue.close()
    assert await counted == [(1_000_000,)]
