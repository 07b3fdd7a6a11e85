"""Whether the SQLite file can be trusted: who else has it, its place, its structure, its rows."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from twinshelf.server.catalogue.rows.connections import end_long_read
from twinshelf.server.catalogue.rows.schema import CatalogueFileError, check_whole, open_reader
from twinshelf.server.catalogue.rows.stored_rows import (
    GROUP_PROBLEM,
    find_damaged_events,
    find_damaged_rows,
)

logger = logging.getLogger(__name__)
LOCK = "lock"


class FileGuard:
    """Watches an open SQLite file. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        """Remembers which file it is."""
        self._path = path
        self._inodes = {path: os.stat(path).st_ino}
        self._wal = path.with_name(path.name + "-wal")
        self._problem: str | None = None
        self._damaged: dict[int, str] = {}
        self._checking: sqlite3.Connection | None = None
        self._is_stopped = False
        self._lock = threading.Lock()

    @property
    def damaged_count(self) -> int:
        """Products that are set aside."""
        return len(self._damaged)

    def set_aside(self, product_number: int, problem: str) -> None:
        """Notes and logs that a product's row is damaged."""
        if product_number not in self._damaged:
            self._damaged[product_number] = problem
            logger.error("product %d is damaged and set aside: %s", product_number, problem)

    def forget(self, product_number: int) -> None:
        """Notes that a product was written anew, or removed."""
        self._damaged.pop(product_number, None)

    def ungrouped(self) -> list[int]:
        """Returns the products whose groups or neighbours are damaged."""
        return [number for number, each in self._damaged.items() if each == GROUP_PROBLEM]

    def find_problem(self) -> str | None:
        """Says why the file as a whole cannot be trusted; None when nothing is known. Quick."""
        if self._wal not in self._inodes and self._wal.exists():
            self._inodes[self._wal] = os.stat(self._wal).st_ino
        for path, inode in list(self._inodes.items()):
            try:
                is_same = os.stat(path).st_ino == inode
            except OSError as error:
                return f"{path} is gone: {error.strerror}"
            if not is_same:
                return f"{path} was replaced by another file while it was served"
        return self._problem

    def check(self) -> None:
        """Reads the whole file: its structure, and the checksum of every row. Takes long.

        What is wrong with the structure is told by `find_problem` from then on.
        """
        with self._open_interruptible() as reader:
            reader.execute("BEGIN")
            problem = check_whole(reader, checks_values=False) or self._check_rows(reader)
            end_long_read(reader)
        if problem is not None and not self._is_stopped:
            self._problem = f"{self._path} is damaged: {problem}"
            logger.error("%s", self._problem)

    def _check_rows(self, reader: sqlite3.Connection) -> str | None:
        try:
            for number, damage in find_damaged_rows(reader):
                self.set_aside(number, damage)
            for number in find_damaged_events(reader):
                logger.error("event %d of the groups is damaged, and told to nobody", number)
        except sqlite3.DatabaseError as error:
            return str(error)
        return None

    def stop(self) -> None:
        """Breaks off a check that runs, unless it is just between two statements. Any thread's."""
        self._is_stopped = True
        with self._lock:
            if self._checking is not None:
                self._checking.interrupt()

    @contextmanager
    def _open_interruptible(self) -> Iterator[sqlite3.Connection]:
        with closing(open_reader(self._path)) as reader:
            self._checking = reader
            try:
                yield reader
            finally:
                with self._lock:
                    self._checking = None


def lock_folder(folder: Path) -> IO[str]:
    """Keeps other processes out of a catalogue, until the file that is returned is closed.

    Its folder is made where it is missing.

    Raises:
        CatalogueFileError: If another process has it, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock_file = (folder / LOCK).open("w")
    except OSError as error:
        raise CatalogueFileError(
            f"no catalogue can be kept in {folder}: {error.strerror} ({error.filename})"
        ) from error
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock_file.close()
        raise CatalogueFileError(f"{folder} is served by another process") from None
    return lock_file
