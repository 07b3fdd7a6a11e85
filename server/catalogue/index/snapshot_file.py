"""Files of a snapshot: written through to the disk, and trusted by size and checksum only."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

_BLOCK_BYTES = 1 << 20
# Written to the disk piece by piece: one flush of a gigabyte would hold up the commits of SQLite.
_SYNC_BYTES = 32 << 20


class SnapshotError(Exception):
    """A snapshot that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file as the manifest vouches for it.

    Attributes:
        name: In the folder of the manifest.
        size_bytes: Its length.
        checksum: CRC-32 of its content.
    """

    name: str
    size_bytes: int
    checksum: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Describes a file as it is."""
        return cls(name=path.name, size_bytes=path.stat().st_size, checksum=_checksum(path))

    def check(self, folder: Path) -> None:
        """Reads the file and compares it.

        Raises:
            SnapshotError: If it is missing or torn.
        """
        path = folder / self.name
        try:
            found = FileEntry.of(path)
        except OSError as error:
            raise SnapshotError(f"{path} cannot be read: {error.strerror}") from None
        if found != self:
            raise SnapshotError(
                f"{path} is torn: expected {self.size_bytes} bytes with the checksum "
                f"{self.checksum}, got {found.size_bytes} with {found.checksum}"
            )


def write_synced(path: Path, blocks: Iterable[bytes]) -> None:
    """Writes a file so that it is on the disk when this returns."""
    with path.open("wb") as file:
        unsynced = 0
        for block in blocks:
            file.write(block)
            unsynced += len(block)
            if unsynced >= _SYNC_BYTES:
                file.flush()
                os.fdatasync(file.fileno())
                unsynced = 0
        file.flush()
        os.fsync(file.fileno())


def map_vectors(path: Path, dimension: int) -> npt.NDArray[np.float16]:
    """Maps fp16 vectors (N, D); a plain array over the map, for numpy's own type costs time."""
    return np.asarray(np.memmap(path, dtype=np.float16, mode="r")).reshape(-1, dimension)


def sync_folder(path: Path) -> None:
    """Lets what was renamed in a folder outlive a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _checksum(path: Path) -> int:
    # Into one block that stays in the cache of the core: the start waits for this.
    checksum, block = 0, memoryview(bytearray(_BLOCK_BYTES))
    with path.open("rb", buffering=0) as file:
        while byte_count := file.readinto(block):
            checksum = zlib.crc32(block[:byte_count], checksum)
    return checksum
