"""The folder that Triton serves from: a copy that nobody else writes to, under a plain path.

The server hands paths to its Python stubs through a shell command, and reads them as ASCII: a space
or an umlaut would break it. What is checked and what is loaded are the same bytes, because both are
in the copy.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinshelf.server.triton.manifest import check_files, model_files, read_manifests
from twinshelf.server.triton.repository import models_with_steps

_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9_./+=@-]+")
_OTHER_PLACES: Final = ("/tmp", "/var/tmp", "/dev/shm")
_PREFIX: Final = "twinshelf-triton-"


class PrivateFolderError(RuntimeError):
    """No folder of our own to serve from; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateFolder:
    """A folder of ours, locked until it is removed.

    What removes old files from /tmp (systemd-tmpfiles) leaves a locked folder alone, and so do
    launchers that remove what killed ones left. The lock ends with this process.

    Attributes:
        path: Where it is.
        lock: Descriptor of the open folder.
    """

    path: Path
    lock: int

    def remove(self) -> None:
        """Removes the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def make_private_folder() -> PrivateFolder:
    """Makes an empty folder, readable by this user alone, whose path every part of Triton reads.

    Folders that a killed launcher left are removed first: a copy of the models may fill a disk, or
    the memory.

    Raises:
        PrivateFolderError: If there is no such place.
    """
    places = dict.fromkeys((tempfile.gettempdir(), *_OTHER_PLACES))
    for place in places:
        for folder in Path(place).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                _remove_left(folder)
    for place in places:
        if _PLAIN_PATH.fullmatch(place):
            with contextlib.suppress(OSError):
                return _make_locked(place)
    raise PrivateFolderError(
        f"Triton needs a folder to write to whose path has ASCII letters, digits and ._+=@- alone, "
        f"and none of {', '.join(map(repr, places))} is one: set TMPDIR to such a folder"
    )


def _make_locked(place: str) -> PrivateFolder:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
        except OSError:  # a file system without locks
            os.close(lock)
            path.rmdir()
            raise
        # Until here a launcher that starts as well may have taken it for one that was left.
        if path.exists():
            return PrivateFolder(path=path, lock=lock)
        os.close(lock)


def _remove_left(folder: Path) -> None:
    """Removes a folder of this user that no process holds.

    Raises:
        OSError: If it is another's, or held, or no folder.
    """
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def copy_models(
    repository: Path, models: tuple[str, ...], version: int | None, target: Path
) -> None:
    """Copies models, and what they are made of, into a folder of the same layout.

    Args:
        repository: Folder of models.
        models: Names of the models that are asked for.
        version: The version; None copies the models whole, for their plain `config.pbtxt`.
        target: Folder to copy into; made here.

    Raises:
        RepositoryError: If a file of a version is not what was published.
        PrivateFolderError: If the disk is full.
    """
    names = models_with_steps(repository, models, version)
    manifests = [] if version is None else read_manifests(repository, version)
    try:
        for name in names:
            if version is None:
                shutil.copytree(
                    repository / name,
                    target / name,
                    ignore=shutil.ignore_patterns("__pycache__", "configs"),
                )
            else:
                _copy_version(repository, name, version, target)
    except (OSError, shutil.Error) as error:
        raise PrivateFolderError(_copy_sentence(error, target)) from error
    if version is not None:
        check_files(target, version, names, manifests)


def _copy_version(repository: Path, model: str, version: int, target: Path) -> None:
    (target / model / str(version)).mkdir(parents=True)  # an ensemble needs its own, even if empty
    for path in model_files(repository, model, version):
        place = target / path.relative_to(repository)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _copy_sentence(error: Exception, target: Path) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{target.parent} has no room for a copy of the models: set TMPDIR to a larger disk"
    return f"the models cannot be copied to {target}: {error}"
