"""How far a file has been stored, kept so that an interrupted run goes on where it was."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinshelf.client.files.forms.photo_folder import PhotoFolder
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import ProductFileError

_DIGITS = 20


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds its path to what the system says of an open file, such as that its disk is full.

    Raises:
        OSError: What was raised, with the path.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


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
        content = mapped.table.content
        read = content.photos() if isinstance(content, PhotoFolder) else [mapped.table.path]
        parts += map(_state, read)
    # Names of files need not be UTF-8.
    return hashlib.sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()


def _state(path: Path) -> str:
    try:
        found = path.stat()
    except FileNotFoundError:  # a link to nowhere is a photo that cannot be read
        return f"{path.absolute()} absent"
    return f"{path.absolute()} {found.st_size} {found.st_mtime_ns}"


class ResumePoint:
    """The count of rows from the start of which every one is done, and notes of some of them.

    It is written with every row, so that a killed process repeats only what was under way.

    Attributes:
        done_count: Rows that are done.
        notes: What an earlier run noted of those that it had done.
    """

    def __init__(self, path: Path, *, begins_anew: bool = False) -> None:
        """Reads how far an earlier run came.

        Args:
            path: Where it is kept; made when missing.
            begins_anew: Whether that is to be forgotten.

        Raises:
            ProductFileError: If another process is at this very run.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise ProductFileError(
                "another run is storing these files already: wait until it has ended"
            ) from None
        kept_bytes = 0 if begins_anew else os.fstat(self._file).st_size
        content = os.pread(self._file, kept_bytes, 0)
        end = content.rfind(b"\n") + 1
        os.ftruncate(self._file, end)  # a line that was cut off; its row will be done again
        lines = content[:end].decode().splitlines()
        self.done_count = int(lines[0]) if lines else 0
        if not lines:
            self._write(self._counted(), 0)
        # A row that was done ahead of others may have been done twice.
        noted = dict(line.split(" ", 1) for line in lines[1:])
        self.notes = [note for place, note in noted.items() if int(place) < self.done_count]
        self._done_ahead: set[int] = set()

    def reach(self, row_place: int, note: str = "") -> None:
        """Notes that a row is done; rows may be done in any order.

        Args:
            row_place: From 0 in the order of the files.
            note: What a later run should know of it, in one line.
        """
        if note:
            self._write(f"{row_place} {note}\n".encode(), os.fstat(self._file).st_size)
        self._done_ahead.add(row_place)
        before = self.done_count
        while self.done_count in self._done_ahead:
            self._done_ahead.remove(self.done_count)
            self.done_count += 1
        if self.done_count != before:
            self._write(self._counted(), 0)

    def _write(self, data: bytes, offset: int) -> None:
        with naming(self._path):
            os.pwrite(self._file, data, offset)

    def _counted(self) -> bytes:
        return f"{self.done_count:0{_DIGITS}}\n".encode()

    def close(self, *, is_finished: bool) -> None:
        """Ends the notes; those of a finished run are removed."""
        if is_finished:
            self._path.unlink(missing_ok=True)
        os.close(self._file)  # frees the lock
