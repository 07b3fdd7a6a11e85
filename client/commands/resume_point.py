"""How far a file has been stored, kept so that an interrupted run goes on where it was."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from twinshelf.client.files.product_rows import ProductFiles, ReadOptions

_DIGITS = 20


def cache_folder() -> Path:
    """Returns the folder for what the command line keeps between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "twinshelf"


def run_digest(address: str, files: ProductFiles, options: ReadOptions, *further: object) -> str:
    """Names a run: one service, the same unchanged files, read in the same way.

    Args:
        address: Of the service.
        files: What is stored or matched.
        options: How the files are read.
        further: What else must be the same, with a `repr` that says all of it.
    """
    parts = [address, repr(options), repr(options.fetcher is not None), *map(repr, further)]
    for mapped in files.tables:
        state = mapped.table.path.stat()
        path = mapped.table.path.absolute()
        parts.append(f"{path} {state.st_size} {state.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class ResumePoint:
    """The count of rows from the start of which every one is done.

    It is written with every row, so that a killed process repeats only what was under way.
    """

    def __init__(self, path: Path) -> None:
        """Reads how far an earlier run came.

        Args:
            path: The note; made when missing.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        noted = os.pread(self._file, _DIGITS, 0)
        self.done_count = int(noted) if noted.isdigit() else 0
        self._done_ahead: set[int] = set()

    def reach(self, row_place: int) -> None:
        """Notes that a row is done; rows may be done in any order.

        Args:
            row_place: From 0 in the order of the files.
        """
        self._done_ahead.add(row_place)
        before = self.done_count
        while self.done_count in self._done_ahead:
            self._done_ahead.remove(self.done_count)
            self.done_count += 1
        if self.done_count != before:
            os.pwrite(self._file, f"{self.done_count:0{_DIGITS}}".encode(), 0)

    def close(self, *, is_finished: bool) -> None:
        """Ends the notes; those of a finished run are removed."""
        os.close(self._file)
        if is_finished:
            self._path.unlink(missing_ok=True)
