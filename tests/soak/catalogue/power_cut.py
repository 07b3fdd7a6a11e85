"""The files of a catalogue as a power cut leaves them: only what was synced survives."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_name("durable_writes.c")
_HEAD = struct.Struct("<4q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A record of the log; see `durable_writes.c`."""

    kind: str
    path: str
    offset: int
    data: bytes


@dataclass(slots=True)
class _File:
    """Content as the process sees it, and as the disk has it."""

    seen: bytearray = field(default_factory=bytearray)
    synced: bytes | None = None


class Disk:
    """What is on the disk, step by step.

    A synced file has its name too, as ext4 does it. Renames and removals are certain once the
    folder is synced; until then each may have reached the disk or not, the earlier ones first.
    """

    def __init__(self) -> None:
        """An empty disk."""
        self._files: dict[str, _File] = {}
        self._names: dict[str, _File] = {}
        self._waiting: list[Step] = []

    def take(self, step: Step) -> None:
        """Does one step."""
        file = self._files.get(step.path)
        if file is None and step.kind in "WTS":
            file = self._files[step.path] = _File()
        if step.kind == "W" and file is not None:
            end = step.offset + len(step.data)
            file.seen.extend(bytes(max(0, end - len(file.seen))))
            file.seen[step.offset : end] = step.data
        elif step.kind == "T" and file is not None:
            del file.seen[step.offset :]
            file.seen.extend(bytes(step.offset - len(file.seen)))
        elif step.kind == "S" and file is not None:
            file.synced = step.data or bytes(file.seen)
            self._names[step.path] = file
        elif step.kind == "R":
            self._files[step.data.decode()] = self._files.pop(step.path)
            self._waiting.append(step)
        elif step.kind == "U":
            self._files.pop(step.path, None)
            self._waiting.append(step)
        elif step.kind == "D":
            _move(self._names, self._waiting)
            self._waiting = []

    def write_cut(self, watched: Path, target: Path, chance: random.Random) -> None:
        """Writes what a cut at this moment leaves of the watched folder."""
        names = dict(self._names)
        _move(names, self._waiting[: chance.randint(0, len(self._waiting))])
        for name, file in names.items():
            if file.synced is not None and Path(name).is_relative_to(watched):
                path = target / Path(name).relative_to(watched)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.synced)

    def seen(self, path: Path) -> bytes:
        """Returns what the process has written to a file, synced or not."""
        file = self._files.get(str(path))
        return b"" if file is None else bytes(file.seen)


def build_watcher(folder: Path) -> Path:
    """Compiles the library that notes writes; needs a C compiler.

    Raises:
        FileNotFoundError: If there is no `cc`.
    """
    library = folder / "durable_writes.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


def watched_environment(library: Path, folder: Path, log: Path) -> dict[str, str]:
    """Returns the variables of a process whose writes below a folder are noted."""
    return {
        **os.environ,
        "LD_PRELOAD": str(library),
        "WATCHED_FOLDER": str(folder),
        "WRITE_LOG": str(log),
    }


def read_steps(log: Path) -> Iterator[Step]:
    """Reads the log; a last record that is cut off is left out."""
    with log.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            kind, path_length, data_length, offset = _HEAD.unpack(head)
            path, data = file.read(path_length), file.read(data_length)
            if len(data) == data_length:
                yield Step(kind=chr(kind), path=path.decode(), offset=offset, data=data)


def _move(names: dict[str, _File], steps: list[Step]) -> None:
    for step in steps:
        file = names.pop(step.path, None)
        if step.kind == "R" and file is not None:
            names[step.data.decode()] = file
