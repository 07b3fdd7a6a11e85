"""Verifies a catalogue, copies it while it is served, and brings a copy back.

python -m twinshelf.server.catalogue --catalogue .cache/catalogue
python -m twinshelf.server.catalogue --back-up copy.sqlite
python -m twinshelf.server.catalogue --restore copy.sqlite
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinshelf.server.catalogue.one_machine.backup import (
    Verification,
    back_up,
    restore,
    verify,
)
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE
from twinshelf.server.catalogue.rows.schema import SCHEMA_VERSION, CatalogueFileError
from twinshelf.server.command_line import read_command_line

_MOST_ROWS_NAMED: Final = 20
_SOUND, _UNSOUND = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFileOptions:
    """Verifies the products of a catalogue, or copies or restores them.

    Attributes:
        catalogue: Its folder; may be served meanwhile.
        back_up: Copy the products into this file, and verify the copy.
        restore: Put this copy in the place of the products; nobody may serve them meanwhile.

    Raises:
        ValueError: If it is to be copied and restored at once.
    """

    catalogue: Path = Path(".cache/catalogue")
    back_up: Path | None = None
    restore: Path | None = None

    def __post_init__(self) -> None:
        """Checks that one thing is asked for."""
        if self.back_up is not None and self.restore is not None:
            raise ValueError("back_up cannot stand beside --restore")


def main(arguments: Sequence[str] | None = None) -> int:
    """Does as the command line says; returns 1 when something is damaged or cannot be done."""
    options = read_command_line(CatalogueFileOptions, "twinshelf.server.catalogue", arguments)
    path = options.catalogue / DATABASE
    try:
        if options.back_up is not None:
            return _report(options.back_up, back_up(path, options.back_up))
        if options.restore is not None:
            restore(options.restore, options.catalogue)
            sys.stdout.write(f"restored from {options.restore}\n")
        return _report(path, verify(path))
    except (CatalogueFileError, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"error: {error}\n")
        return _UNSOUND


def _report(path: Path, found: Verification) -> int:
    if found.is_clean:
        sys.stdout.write(f"{path} is sound, {found.product_count} products\n")
        if found.schema_version != SCHEMA_VERSION:
            sys.stdout.write(
                f"its rows can be checked once a start or --restore has brought it from schema "
                f"version {found.schema_version} to {SCHEMA_VERSION}\n"
            )
        return _SOUND
    sentences = [found.problem] if found.problem else []
    sentences += [f"product number {number}: {why}" for number, why in found.damaged.items()]
    sentences += [
        f"event {number} of the groups: its checksum differs" for number in found.damaged_events
    ]
    for sentence in sentences[:_MOST_ROWS_NAMED]:
        sys.stderr.write(f"{path}: {sentence}\n")
    if more := len(sentences) - _MOST_ROWS_NAMED:
        sys.stderr.write(f"and {more} more\n" if more > 0 else "")
    return _UNSOUND


if __name__ == "__main__":
    sys.exit(main())
