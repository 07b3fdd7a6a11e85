"""Version folders of a model repository: built aside, then moved into place, or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from twinshelf.server.triton.repository import config_path

# The project's own model repository.
COMMITTED = Path(__file__).resolve().parent.parent / "model_repository"
CONFIG = "config.pbtxt"
_STAGED = ".publishing-"

logger = logging.getLogger(__name__)


def version_folder(repository: Path, model: str, version: int) -> Path:
    """Returns the folder of a version of a model."""
    return repository / model / str(version)


def taken_versions(repository: Path, models: Sequence[str]) -> list[int]:
    """Returns the versions that any of the models has anything of, rising."""
    found: set[int] = set()
    for model in models:
        names = [path.name for path in (repository / model).glob("[0-9]*") if path.is_dir()]
        names += [path.stem[1:] for path in (repository / model / "configs").glob("v*.pbtxt")]
        found |= {int(name) for name in names if name.isdecimal()}
    return sorted(found)


def is_complete(repository: Path, models: Sequence[str], version: int) -> bool:
    """Says whether every one of the models has the version's folder and configuration."""
    return all(
        version_folder(repository, model, version).is_dir()
        and config_path(repository, model, version).is_file()
        for model in models
    )


def committed_file(repository: Path, committed: Path, model: str, name: str) -> Path:
    """Returns a committed file of a model: the repository's own where it has one.

    Args:
        repository: Model repository to publish into.
        committed: The project's own model repository.
        model: Name of the model.
        name: Name of the file in the model's folder.
    """
    own = repository / model / name
    return own if own.exists() else committed / model / name


def complete_committed_files(repository: Path, committed: Path, models: Sequence[str]) -> None:
    """Gives a repository the committed files that it lacks; those that it has are kept.

    Args:
        repository: Model repository to publish into; made when missing.
        committed: The project's own model repository.
        models: Names of the models.
    """
    for model in models:
        for source in sorted((committed / model).rglob("*")):
            place = source.relative_to(committed)
            is_published = place.parts[1].isdecimal() or place.parts[1] == "configs"
            if is_published or "__pycache__" in place.parts or not source.is_file():
                continue
            target = repository / place
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


def copy_sources(names: Iterable[str], source: Path, target: Path) -> None:
    """Copies files of a package into a new folder."""
    target.mkdir(parents=True)
    for name in names:
        shutil.copyfile(source / name, target / name)


@contextmanager
def staging(repository: Path) -> Iterator[Path]:
    """Gives an empty folder on the repository's own disk, and removes it with what is left in it.

    One publication at a time: another one waits. Triton never sees the folder: what it loads is
    copied out of the repository, model by model. A repository that was not there before, and into
    which nothing was moved, is not there after.
    """
    with _locked(repository) as is_new:
        for left in repository.glob(f"{_STAGED}*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_STAGED, dir=repository))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if is_new and not any(repository.iterdir()):
                repository.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Locks a folder, which is made when missing, and tells whether it was."""
    is_new, place = False, None
    while place is None:
        is_new = is_new or not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        place = _lock(folder)
    try:
        yield is_new
    finally:
        os.close(place)


def _lock(folder: Path) -> int | None:
    """Opens and locks a folder; None when whoever held the lock before has removed that folder."""
    with suppress(FileNotFoundError), ExitStack() as undone:
        place = os.open(folder, os.O_RDONLY)
        undone.callback(os.close, place)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("waiting for another publication into %s", folder)
            fcntl.flock(place, fcntl.LOCK_EX)
        if os.path.samestat(os.fstat(place), os.stat(folder)):
            undone.pop_all()
            return place
    return None


def make_version_folders(repository: Path, models: Sequence[str], version: int) -> None:
    """Makes the folder of a version in each of the models."""
    for model in models:
        folder = version_folder(repository, model, version)
        folder.mkdir(parents=True)
        # Git and some object stores drop empty folders, and an ensemble needs its own.
        (folder / ".keep").touch()


def move_into_place(staged: Path, repository: Path, models: Sequence[str], version: int) -> None:
    """Moves a staged version into the repository, in place of one of the same number.

    The configurations of an older one go first and the new ones come last, so that at no moment
    can Triton start on a version of which half is old.

    Args:
        staged: Folder from `staging` that holds the whole version.
        repository: Model repository.
        models: Names of the models; the configuration of the last one completes the version.
        version: The version.

    Raises:
        OSError: If a move fails; what was there before is then back in its place, after Ctrl-C too.
    """
    configs = [
        (config_path(staged, m, version), config_path(repository, m, version)) for m in models
    ]
    folders = [
        (version_folder(staged, m, version), version_folder(repository, m, version)) for m in models
    ]
    old = [target for _, target in (*reversed(configs), *folders)]
    # (from, to), in order; undone from the end when one of them fails.
    moves = [(path, staged / "replaced" / path.relative_to(repository)) for path in old]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in (*moves, *folders, *configs):
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
                done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            os.replace(target, source)
        raise
