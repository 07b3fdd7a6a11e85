"""What the catalogue of one machine breaks off, and what it waits for, when it has to stop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue

# Rows that are counted in some seconds.
_LONG = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 20000000)"


async def test_the_end_breaks_off_a_check_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def find_slowly(reader: sqlite3.Connection) -> Iterator[tuple[int, str]]:
        begun.set()
        reader.execute(f"{_LONG} SELECT count(*) FROM n").fetchone()
        ended.set()
        yield 1, "told too late"

    monkeypatch.setattr(
        "twinshelf.server.catalogue.rows.file_guard.find_damaged_rows", find_slowly
    )
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await asyncio.to_thread(begun.wait)
    await catalogue.close()
    assert not ended.is_set()
    assert catalogue.problem is None
