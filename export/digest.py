"""The digest of a published version: it changes when, and only when, its files for embedding do.

It is SHA-256 over one line per file, "<SHA-256 of the content>  <model>/<name>", sorted by name:

- the graphs of `image_tower`, `text_tower` and `fusion` (which holds the fusion weight);
- `settings.json`, `tokenizer.json` and every source file of the vendored preprocessing.

Left out is what leaves embeddings as they are: the version number, the calibration, the thin
`model.py`, batching and threads. So a version published again with a new calibration, or copied
under another number, keeps its digest, and catalogues that were embedded with it stay valid.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from export.encoder_models import GRAPHS, PREPROCESSORS

PREFIX = "sha256:"


def version_digest(repository: Path, version: int) -> str:
    """Computes the digest from the files of a version.

    Args:
        repository: Model repository.
        version: A version that is there.

    Returns:
        "sha256:" and 64 hex digits.

    Raises:
        FileNotFoundError: If a file of the version is missing.
    """
    lines = [f"{file_digest(path)}  {name}" for name, path in _files(repository, version)]
    return PREFIX + hashlib.sha256("\n".join(sorted(lines, key=_name)).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's content as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(line: str) -> str:
    return line.partition("  ")[2]


def _files(repository: Path, version: int) -> list[tuple[str, Path]]:
    found = []
    for model in GRAPHS:
        found.append((model, "model.onnx"))
    for model in PREPROCESSORS:
        folder = repository / model / str(version) / "preprocessing"
        if not folder.is_dir():
            raise FileNotFoundError(f"no preprocessing in {folder.parent}")
        sources = sorted(path.name for path in folder.glob("*.py"))
        found += [(model, "settings.json"), *((model, f"preprocessing/{s}") for s in sources)]
    found.append(("text_preprocess", "tokenizer.json"))
    return [(f"{model}/{name}", repository / model / str(version) / name) for model, name in found]
