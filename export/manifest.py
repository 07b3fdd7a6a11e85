"""What a version consists of: the list of its files, and the digest of those that embed.

The digest changes when, and only when, its files for embedding do. It is SHA-256 over one line per
file, "<SHA-256 of the content>  <model>/<name>", sorted by name:

- the graphs of `image_tower` and `text_tower`;
- `settings.json`, `tokenizer.json` and every source file of the vendored preprocessing.

Left out is what leaves the two halves of an embedding as they are: the version number, the fusion
weight and its graph, the calibration, the thin `model.py`, batching and threads. So a version
published again with a new weight or calibration, or copied under another number, keeps its digest,
and catalogues that were embedded with it stay valid.
Who loads a version checks its files by the list and computes the digest again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from twinshelf.export.encoder_models import PREPROCESSORS, TOWERS
from twinshelf.server.triton.manifest import Manifest, file_digest, files_digest, model_files

WARMUP = "warmup"


def digest_files(repository: Path, version: int) -> list[Path]:
    """Returns the files of a version that the digest covers.

    Raises:
        FileNotFoundError: If there is no preprocessing.
    """
    found = [repository / model / str(version) / "model.onnx" for model in TOWERS]
    for model in PREPROCESSORS:
        folder = repository / model / str(version)
        if not (folder / "preprocessing").is_dir():
            raise FileNotFoundError(f"no preprocessing in {folder}")
        found += [folder / "settings.json", *sorted((folder / "preprocessing").glob("*.py"))]
    found.append(repository / "text_preprocess" / str(version) / "tokenizer.json")
    return found


def covered_digest(repository: Path, covered: Iterable[Path]) -> str:
    """Computes the digest of files below a repository: "sha256:" and 64 hex digits."""
    return files_digest(
        {path.relative_to(repository).as_posix(): file_digest(path) for path in covered}
    )


def list_files(
    staged: Path,
    version: int,
    models: Sequence[str],
    covered: Sequence[Path],
    *,
    warmup_from: Sequence[Path],
) -> Manifest:
    """Lists the files of a version.

    Args:
        staged: Repository that holds the version.
        version: The version.
        models: Names of its models.
        covered: The files below `staged` that the digest covers.
        warmup_from: Repositories whose samples for warm-up count, the first that has one first.
    """
    files: dict[str, str] = {}
    for model in models:
        own = (path.relative_to(staged) for path in model_files(staged, model, version))
        paths = [(staged, staged / path) for path in own if path.parts[1] != WARMUP]
        for repository in warmup_from:
            samples = sorted((repository / model / WARMUP).rglob("*"))
            paths += [(repository, path) for path in samples if path.is_file()]
        for root, path in paths:
            name = path.relative_to(root).as_posix()
            if name not in files and "__pycache__" not in path.parts:
                files[name] = file_digest(path)
    return Manifest(
        digest=covered_digest(staged, covered),
        files=files,
        digest_files=tuple(sorted(path.relative_to(staged).as_posix() for path in covered)),
    )
