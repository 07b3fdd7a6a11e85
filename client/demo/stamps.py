"""Whether a step must run: a stamp says what it was made from, and the outputs must be there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Files whose content is worth reading; of others (photos, weights) size and time must do.
LARGEST_READ_BYTES = 4 * 1024 * 1024
IGNORED_FOLDERS = ("__pycache__",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a finished step leaves behind.

    Attributes:
        digest: SHA-256 of all that went into the step.
        facts: What the step found out and later steps need, such as a version.
    """

    digest: str
    facts: Mapping[str, str] = field(default_factory=dict)


def digest_inputs(arguments: Iterable[str], paths: Iterable[Path]) -> str:
    """Returns SHA-256, as 64 hex digits, over a command and the files that it reads.

    Args:
        arguments: The command and whatever else decides the result, in order.
        paths: Files, and folders with all files below them. One that is not there counts as such.
    """
    digest = hashlib.sha256()
    for argument in arguments:
        digest.update(f"{len(argument)}:{argument}\n".encode("utf-8", "surrogateescape"))
    for path in paths:
        for file in sorted(_files(path)):
            digest.update(f"{file}\n{_state(file)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read_stamp(path: Path) -> Stamp | None:
    """Reads a stamp; None when there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return Stamp(digest=value["digest"], facts=value["facts"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_stamp(path: Path, stamp: Stamp) -> None:
    """Writes a stamp, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    value = {"digest": stamp.digest, "facts": dict(stamp.facts)}
    partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    return (
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part in IGNORED_FOLDERS for part in file.parts)
    )


def _state(file: Path) -> str:
    try:
        state = file.stat()
        if state.st_size <= LARGEST_READ_BYTES and file.suffix.lower() not in (".jpg", ".png"):
            return hashlib.sha256(file.read_bytes()).hexdigest()
        return f"{state.st_size} {state.st_mtime_ns}"
    except OSError:
        return "absent"
