"""Bringing a copy of the catalogue back, and verifying a catalogue that nobody serves."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from twinshelf.server.catalogue.file_guard import lock_folder
from twinshelf.server.catalogue.schema import (
    CatalogueFileError,
    check_whole,
    open_reader,
    open_writer,
    renew_catalogue_id,
)
from twinshelf.server.catalogue.sqlite_catalogue import DATABASE
from twinshelf.server.catalogue.stored_rows import find_damaged_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found in the file of a catalogue.

    Attributes:
        problem: What is wrong with its structure; None when it is sound.
        damaged: Product number to what is wrong with its row.
    """

    problem: str | None
    damaged: dict[int, str]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None and not self.damaged


def verify(path: Path) -> Verification:
    """Reads the whole SQLite file of a catalogue or of a copy: structure, and every checksum.

    Raises:
        CatalogueFileError: If there is no such file.
    """
    if not path.is_file():
        raise CatalogueFileError(f"there is no catalogue {path}")
    damaged: dict[int, str] = {}
    with closing(open_reader(path)) as reader:
        problem = check_whole(reader)
        if problem is None:
            try:
                damaged = dict(find_damaged_rows(reader))
            except sqlite3.DatabaseError as error:
                problem = str(error)
    return Verification(problem=problem, damaged=damaged)


def restore(copy: Path, folder: Path) -> None:
    """Puts a copy that `SqliteCatalogue.back_up` made in the place of a catalogue.

    The next start reads the index anew, for the snapshots belong to another history.

    Args:
        copy: The copy; stays as it is.
        folder: Folder of the catalogue, which nobody may serve meanwhile; made when missing.

    Raises:
        CatalogueFileError: If the copy is damaged or no catalogue, or the folder is being served.
    """
    found = verify(copy)
    if not found.is_clean:
        details = found.problem or f"{len(found.damaged)} damaged products"
        raise CatalogueFileError(f"{copy} is not restored: {details}")
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / DATABASE
    with lock_folder(folder):
        temporary = folder / f"{DATABASE}.restored"
        temporary.unlink(missing_ok=True)
        shutil.copyfile(copy, temporary)
        with closing(open_writer(temporary)) as writer:
            renew_catalogue_id(writer)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # A log of the old file would be taken for one of the new.
        for ending in ("-wal", "-shm"):
            database.with_name(DATABASE + ending).unlink(missing_ok=True)
        os.replace(temporary, database)
        for old in folder.glob("index-*"):
            shutil.rmtree(old)
