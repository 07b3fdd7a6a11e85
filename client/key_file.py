"""The file of API keys on disk: read whole, changed under a lock, written whole."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from google.protobuf import json_format

from twinshelf.client.api_keys import ApiKeyError
from twinshelf.v1 import access_pb2

_ROOT: Final = 0
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_keys(path: Path) -> access_pb2.KeyFile:
    """Reads all keys.

    Args:
        path: The file.

    Raises:
        ApiKeyError: If the file is missing, cannot be read, or is no key file.
    """
    try:
        return json_format.Parse(path.read_bytes().decode(), access_pb2.KeyFile())
    except FileNotFoundError:
        raise ApiKeyError(f"there is no key file {path}: `twinshelf keys add` makes one") from None
    except OSError as error:
        raise ApiKeyError(f"the key file {path} cannot be read: {error.strerror}") from None
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise ApiKeyError(f"{path} is no key file: {error}") from None


@contextmanager
def changing_keys(path: Path) -> Iterator[access_pb2.KeyFile]:
    """Gives the keys to be changed, and writes them back when nothing was raised.

    Only one at a time has the file; a file that is not there yet is empty. Readers see the old
    file or the new one, each of them whole. Only the owner can read it, and of a file of root's its
    group where it could before. The lock is a file beside it, which stays: to remove it would let
    two in.

    Args:
        path: The file.

    Raises:
        ApiKeyError: If the file cannot be read or written, or is no key file.
    """
    # A link stays one: it is the file behind it that is replaced.
    path = path.resolve()
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ApiKeyError(f"the key file {path} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = read_keys(path) if path.exists() else access_pb2.KeyFile()
        yield keys
        try:
            _replace(path, json_format.MessageToJson(keys) + "\n")
        except OSError as error:
            raise ApiKeyError(f"the key file {path} cannot be written: {error.strerror}") from None
    finally:
        os.close(lock)  # frees the lock


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            _keep_readers(path, file.fileno())
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # without it a crash could bring the old file back
    finally:
        os.close(folder)


def _keep_readers(path: Path, descriptor: int) -> None:
    """Lets the service still read its file after root has changed it, as owner or by its group."""
    try:
        old = path.stat()
    except FileNotFoundError:
        return
    if os.geteuid() == _ROOT or old.st_uid != os.geteuid():
        os.fchown(descriptor, old.st_uid, old.st_gid)
    # The service takes no file that is open any further.
    if old.st_uid == _ROOT and old.st_mode & _OF_OTHERS == stat.S_IRGRP:
        os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP)
