"""The list of a version's files with their checksums, which whoever loads the version checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.configurations import config_path
from export.digest import file_digest
from export.encoder_models import RECORD
from export.repository import version_folder

WARMUP = "warmup"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileManifest:
    """The files of a version.

    Attributes:
        files: Path below the model repository to the SHA-256 of the file, 64 hex digits: version
            folders, configurations and samples for warm-up of every model.
        digest_files: Those paths that the digest of the contract covers, sorted.
    """

    files: dict[str, str]
    digest_files: tuple[str, ...]


def list_files(
    staged: Path,
    version: int,
    models: Sequence[str],
    covered: Iterable[Path],
    *,
    warmup_from: Sequence[Path],
) -> FileManifest:
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
        for path in _version_files(staged, model, version):
            files[path.relative_to(staged).as_posix()] = file_digest(path)
        for repository in warmup_from:
            for path in sorted((repository / model / WARMUP).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    files.setdefault(path.relative_to(repository).as_posix(), file_digest(path))
    digest_files = tuple(sorted(path.relative_to(staged).as_posix() for path in covered))
    return FileManifest(files=files, digest_files=digest_files)


def _version_files(repository: Path, model: str, version: int) -> Iterator[Path]:
    config = config_path(repository, model, version)
    if config.is_file():
        yield config
    for path in sorted(version_folder(repository, model, version).rglob("*")):
        if path.is_file() and path.name != RECORD and "__pycache__" not in path.parts:
            yield path
