"""The digest of a published version: it changes when, and only when, its files for embedding do.

It is SHA-256 over one line per file, "<SHA-256 of the content>  <model>/<name>", sorted by name:

- the graphs of `image_tower`, `text_tower` and `fusion` (which holds the fusion weight);
- `settings.json`, `tokenizer.json` and every source file of the vendored preprocessing.

Left out is what leaves embeddings as they are: the version number, the calibration, the thin
`model.py`, batching and threads. So a version published again with a new calibration, or copied
under another number, keeps its digest, and catalogues that were embedded with it stay valid.
Who loads a version computes the digest again, from the files that its manifest names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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
    return files_digest(repository, digest_files(repository, version))


def digest_files(repository: Path, version: int) -> list[Path]:
    """Returns the files of a version that the digest covers.

    Raises:
        FileNotFoundError: If there is no preprocessing.
    """
    found = [repository / model / str(version) / "model.onnx" for model in GRAPHS]
    for model in PREPROCESSORS:
        folder = repository / model / str(version)
        if not (folder / "preprocessing").is_dir():
            raise FileNotFoundError(f"no preprocessing in {folder}")
        found += [folder / "settings.json", *sorted((folder / "preprocessing").glob("*.py"))]
    found.append(repository / "text_preprocess" / str(version) / "tokenizer.json")
    return found


def files_digest(repository: Path, paths: Iterable[Path]) -> str:
    """Joins the SHA-256 of files of a version into one digest; the version does not matter."""
    files = {_versionless(repository, path): file_digest(path) for path in paths}
    lines = "\n".join(f"{files[name]}  {name}" for name in sorted(files))
    return PREFIX + hashlib.sha256(lines.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's content as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versionless(repository: Path, path: Path) -> str:
    model, _, *name = path.relative_to(repository).parts
    return "/".join((model, *name))
