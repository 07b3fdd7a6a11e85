"""Copies of a catalogue: taken while it is served, verified, and brought back."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from twinshelf.server.catalogue.index.snapshot_file import sync_folder
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE
from twinshelf.server.catalogue.rows.connections import end_long_read
from twinshelf.server.catalogue.rows.file_guard import lock_folder
from twinshelf.server.catalogue.rows.schema import (
    SCHEMA_VERSION,
    CatalogueFileError,
    check_whole,
    open_reader,
    open_writer,
    renew_catalogue_id,
)
from twinshelf.server.catalogue.rows.stored_rows import find_damaged_events, find_damaged_rows

# So that other threads of a program have their turn between two pieces.
_PAGES_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found in the file of a catalogue.

    Attributes:
        problem: What is wrong with its structure; None when it is sound.
        damaged: Product number to what is wrong with its row.
        damaged_events: Numbers of the events of groups that are damaged.
        product_count: Products, the damaged ones included; 0 when they cannot be counted.
        schema_version: That of the file; the rows of an earlier one are not checked.
    """

    problem: str | None
    damaged: dict[int, str]
    damaged_events: Sequence[int]
    product_count: int
    schema_version: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None and not self.damaged and not self.damaged_events

    @property
    def details(self) -> str:
        """What is wrong, in a few words."""
        counts = ((len(self.damaged), "products"), (len(self.damaged_events), "events of groups"))
        return self.problem or ", ".join(f"{n} damaged {what}" for n, what in counts if n)


def verify(path: Path) -> Verification:
    """Reads the whole SQLite file of a catalogue or of a copy: structure, and every checksum.

    A file of an earlier schema has no such rows yet, so that only its structure is checked.

    Raises:
        CatalogueFileError: If there is no such file.
    """
    if not path.is_file():
        raise CatalogueFileError(f"there is no catalogue {path}")
    damaged: dict[int, str] = {}
    damaged_events: list[int] = []
    product_count = schema_version = 0
    with closing(open_reader(path)) as reader:
        problem = check_whole(reader) or _check_filled(reader)
        if problem is None:
            try:
                (schema_version,) = reader.execute("PRAGMA user_version").fetchone()
                if schema_version == SCHEMA_VERSION:
                    damaged = dict(find_damaged_rows(reader))
                    damaged_events = find_damaged_events(reader)
                (product_count,) = reader.execute("SELECT count(*) FROM products").fetchone()
            except sqlite3.DatabaseError as error:
                problem = str(error)
    return Verification(
        problem=problem,
        damaged=damaged,
        damaged_events=damaged_events,
        product_count=product_count,
        schema_version=schema_version,
    )


def _check_filled(reader: sqlite3.Connection) -> str | None:
    (table_count,) = reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return None if table_count else "nothing is in it: no catalogue was made yet, or all is lost"


def back_up(path: Path, copy: Path) -> Verification:
    """Copies the SQLite file of a catalogue as it stands, while it is read and written.

    Args:
        path: The file.
        copy: Where the copy goes; what stands there is replaced by a sound copy alone.

    Returns:
        What was found in the copy.

    Raises:
        CatalogueFileError: If there is no such file, or the copy cannot be written, or would take
            the place of a catalogue in use, or of an earlier copy though it is damaged.
    """
    if not path.is_file():
        raise CatalogueFileError(f"there is no catalogue {path}")
    if not copy.absolute().parent.is_dir():
        raise CatalogueFileError(f"{copy} cannot be written: there is no folder {copy.parent}")
    if copy.exists() and (copy.samefile(path) or any(each.exists() for each in _logs(copy))):
        raise CatalogueFileError(f"{copy} is not replaced: it is a catalogue in use, or was one")
    temporary = copy.with_name(copy.name + ".tmp")
    with _copied(path, temporary):
        found = verify(temporary)
        # The earlier one may be the last that can be restored.
        if copy.exists() and not found.is_clean:
            raise CatalogueFileError(f"{copy} is not replaced by a damaged one: {found.details}")
        _move_synced(temporary, copy)
    return found


def restore(copy: Path, folder: Path) -> None:
    """Puts a copy that `back_up` made, or the file of another catalogue, in the place of one.

    The next start reads the index anew, for the snapshots belong to another history.

    Args:
        copy: The copy; stays as it is.
        folder: Folder of the catalogue, which nobody may serve meanwhile; made when missing.

    Raises:
        CatalogueFileError: If the copy is damaged or no catalogue, or the folder is being served.
    """
    found = verify(copy)
    _check_restorable(found, copy)
    database = folder / DATABASE
    temporary = folder / f"{DATABASE}.restored"
    with lock_folder(folder), _copied(copy, temporary):
        with closing(open_writer(temporary)) as writer:
            renew_catalogue_id(writer)
        if found.schema_version != SCHEMA_VERSION:  # it was migrated by that
            _check_restorable(verify(temporary), copy)
        # A log of the old file would be taken for one of the new. Until it is replaced, the old
        # file must hold what stands in it.
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(database)) as before:
            before.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for log in _logs(database):
            log.unlink(missing_ok=True)
        _move_synced(temporary, database)
        for old in folder.glob("index-*"):
            shutil.rmtree(old)


def _check_restorable(found: Verification, copy: Path) -> None:
    if not found.is_clean:
        raise CatalogueFileError(f"{copy} is not restored: {found.details}")


@contextmanager
def _copied(path: Path, target: Path) -> Iterator[None]:
    """Copies an SQLite file; what fails leaves nothing, for it may have filled the disk."""
    try:
        _copy(path, target)
        yield
    except BaseException:
        for left in (target, *_logs(target)):
            left.unlink(missing_ok=True)
        raise


def _copy(path: Path, target: Path) -> None:
    """Copies an SQLite file with what stands in its log, while others read and write it."""
    for old in (target, *_logs(target)):
        old.unlink(missing_ok=True)
    with closing(open_reader(path)) as source, closing(sqlite3.connect(target)) as writer:
        # One moment of it: else each commit of the service would begin the copy anew.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM catalogue_state").fetchone()
        source.backup(writer, pages=_PAGES_AT_ONCE)
        end_long_read(source)
        writer.execute("PRAGMA journal_mode = DELETE")  # it can be read from a read-only medium


def _logs(path: Path) -> list[Path]:
    """Names what SQLite keeps beside a file that is open."""
    return [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]


def _move_synced(temporary: Path, path: Path) -> None:
    """Moves a whole file into place, so that a power cut leaves the old one or the new."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.absolute().parent)
