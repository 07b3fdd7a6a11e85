"""Connections that read the SQLite file, one for each thread."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinshelf.server.catalogue.rows.schema import open_reader


class ReaderConnections:
    """Opens connections as threads come."""

    def __init__(self, path: Path) -> None:
        """Takes the file."""
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    @property
    def own(self) -> sqlite3.Connection:
        """That of the calling thread."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_reader(self._path)
            self._local.connection = connection
            with self._lock:
                self._opened.append(connection)
        return connection

    def close(self) -> None:
        """Closes every connection; no other thread may read any more."""
        with self._lock:
            for connection in self._opened:
                connection.close()
            self._opened.clear()


def end_long_read(reader: sqlite3.Connection) -> None:
    """Ends a transaction, and brings into the file what was written beside it, as far as it can.

    SQLite's log grows as long as somebody reads. The first write after it would bring in all of it:
    with 165 MiB it took 1.2 s.
    """
    with suppress(sqlite3.DatabaseError):
        reader.execute("ROLLBACK")
        reader.execute("PRAGMA wal_checkpoint(PASSIVE)")


@contextmanager
def one_moment(reader: sqlite3.Connection) -> Iterator[None]:
    """Lets all that is read in the body be of one moment, whatever is written meanwhile."""
    reader.execute("BEGIN")
    try:
        yield
    finally:
        reader.execute("ROLLBACK")
