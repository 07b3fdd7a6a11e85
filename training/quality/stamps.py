"""Stamps: what a training was done with, so that an equal one is not done again.

A stamp covers the data, the weights, the preset and the options; not the code, because a training
of half an hour should not be repeated for a comment. `--force` repeats it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from training.whole_file import write_whole

STAMP = "quality_stamp.txt"
# Lists are read whole; photos are told by their names and sizes.
_LISTS = frozenset({".csv", ".txt", ".yaml", ".json", ".pth", ".safetensors"})


def digest_inputs(texts: Iterable[str], paths: Iterable[Path]) -> str:
    """Returns a digest over texts and over files or folders, wherever these lie.

    Raises:
        FileNotFoundError: If a file or folder is missing.
    """
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{text}\n".encode())
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no file or folder {path}")
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(path.parent)} {file.stat().st_size}\n".encode())
            if file.suffix in _LISTS:
                digest.update(_digest_file(file))
    return digest.hexdigest()


def is_stamped(folder: Path, inputs: str) -> bool:
    """Returns whether a folder holds a training that was done with these inputs."""
    try:
        return (folder / STAMP).read_text(encoding="utf-8").strip() == inputs
    except OSError:
        return False


def write_stamp(folder: Path, inputs: str) -> None:
    """Stamps a folder after its training has finished."""
    write_whole(folder / STAMP, inputs + "\n")


def remove_stamp(folder: Path) -> None:
    """Removes the stamp before a training: a torn one must not look finished."""
    (folder / STAMP).unlink(missing_ok=True)


def _digest_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
