"""What `export` wrote down of a version's files, and whether they still are what they were.

Each publication leaves `<ensemble>/N/published.json` with the SHA-256 of every file of version N,
and the names of those that the digest in the contract covers. The digest is computed again from
them: an edited list of files is found out by the contract, and an edited contract is another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinshelf.server.triton.repository import (
    RepositoryError,
    config_path,
    publishing_command,
    read_config,
)

MANIFEST: Final = "published.json"
# Parameters of ensembles that hold a contract with a digest.
_CONTRACTS: Final = ("twinshelf_contract", "twinshelf_pair_contract")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of one publication: of an encoder, or of a pair scorer.

    Attributes:
        digest: That of the contract, "sha256:" and 64 hex digits.
        files: Path below the repository to the SHA-256 of the file, 64 hex digits.
        digest_files: Those paths that the digest covers.
    """

    digest: str
    files: Mapping[str, str]
    digest_files: tuple[str, ...]

    def models(self) -> set[str]:
        """Returns the models that the publication consists of."""
        return {name.partition("/")[0] for name in self.files}

    def computed_digest(self) -> str:
        """Computes the digest from the files that it covers."""
        return files_digest({name: self.files[name] for name in self.digest_files})


def files_digest(checksums: Mapping[str, str]) -> str:
    """Joins checksums into one digest, "sha256:" and 64 hex digits; the version does not matter.

    Args:
        checksums: Path of each file below the repository to its SHA-256, 64 hex digits.
    """
    covered = {_versionless(name): checksum for name, checksum in checksums.items()}
    lines = "\n".join(f"{covered[name]}  {name}" for name in sorted(covered))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's content as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifests(repository: Path, version: int) -> list[Manifest]:
    """Returns what was published under a version number: an encoder, a pair scorer, or both.

    Raises:
        RepositoryError: If one was published by an older export, or cannot be read.
    """
    found = []
    for path in sorted(repository.glob(f"*/{version}/{MANIFEST}")):
        try:
            values = json.loads(path.read_text("utf-8"))
            manifest = Manifest(
                digest=values["digest"],
                files={str(name): str(sha) for name, sha in values["files"].items()},
                digest_files=tuple(values["digest_files"]),
            )
            manifest.computed_digest()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RepositoryError(
                f"{path.relative_to(repository)} holds no list of the files of version {version}, "
                f"it was damaged or an older export wrote it: {_repair(path.parts[-3], version)}"
            ) from error
        found.append(manifest)
    return found


def check_files(
    folder: Path, version: int, models: Iterable[str], manifests: Sequence[Manifest]
) -> None:
    """Checks every file of a version of the models.

    Args:
        folder: Folder of models: the repository, or a copy of the same layout.
        version: The version.
        models: Names of the models, with those that ensembles are made of.
        manifests: From `read_manifests` of the repository.

    Raises:
        RepositoryError: If a file was changed, is missing or was added, if a digest is not that of
            the files, or if no manifest covers a model; names the file.
    """
    for model in models:
        covering = [manifest for manifest in manifests if model in manifest.models()]
        if not covering:
            raise RepositoryError(
                f"version {version} of {model} has no list of its files ({MANIFEST}), an older "
                f"export published it: {_repair(model, version)}"
            )
        for manifest in covering:
            _check_model(folder, version, model, manifest)
            _check_contract(folder, version, model, manifest)


def model_files(repository: Path, model: str, version: int) -> list[Path]:
    """Returns the files that a version of a model consists of, sorted.

    They are the version's folder, its configuration and the samples for warm-up; left out are
    byte code and the list of files itself.
    """
    folders = (repository / model / str(version), repository / model / "warmup")
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found += [path for path in [config_path(repository, model, version)] if path.is_file()]
    return sorted(
        path for path in found if path.name != MANIFEST and "__pycache__" not in path.parts
    )


def _check_model(repository: Path, version: int, model: str, manifest: Manifest) -> None:
    expected = {name: sha for name, sha in manifest.files.items() if name.startswith(f"{model}/")}
    found = {
        path.relative_to(repository).as_posix(): path
        for path in model_files(repository, model, version)
    }
    repair = _repair(model, version)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise RepositoryError(f"{name} of version {version} is missing: {repair}")
        if name not in expected:
            raise RepositoryError(
                f"{name} was added to version {version} after it was published: remove it, or "
                f"{repair}"
            )
        sha = file_digest(found[name])
        if sha != expected[name]:
            raise RepositoryError(
                f"{name} of version {version} was changed after it was published (sha256 "
                f"{sha[:12]}…, expected {expected[name][:12]}…): restore the file, or {repair}"
            )


def _check_contract(repository: Path, version: int, model: str, manifest: Manifest) -> None:
    parameters = read_config(config_path(repository, model, version)).parameters
    stamped = {
        _stamped_digest(parameters[name].string_value) for name in _CONTRACTS if name in parameters
    }
    computed = manifest.computed_digest()
    if stamped - {computed} or manifest.digest != computed:
        told = ", ".join(sorted({*stamped, manifest.digest}))
        raise RepositoryError(
            f"the files of version {version} of {model} have the digest {computed}, its contract "
            f"and {MANIFEST} say {told}: {_repair(model, version)}"
        )


def _repair(model: str, version: int) -> str:
    """What to do about a version of a model that is not what was published."""
    return (
        f"publish it again from its run with `{publishing_command(model)} --run RUN "
        f"--version {version} --force`"
    )


def _stamped_digest(contract: str) -> str:
    try:
        return str(json.loads(contract)["digest"])
    except (ValueError, KeyError, TypeError):
        return "nothing that can be read"


def _versionless(name: str) -> str:
    model, _, file = name.split("/", 2)
    return f"{model}/{file}"
