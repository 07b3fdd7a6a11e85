"""Reads the file of API keys that `twinshelf keys` writes, and refuses one that is not safe."""

from __future__ import annotations

import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import json_format

from twinshelf.server.access.scopes import Scope
from twinshelf.server.access.setup_error import AccessSetupError
from twinshelf.v1 import access_pb2

_KEY_ID: Final = re.compile(r"[a-z0-9]{4,32}")
_HASH_BYTES: Final = 32
_ROOT: Final = 0
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as the service knows it.

    Attributes:
        key_id: Names the key; public.
        secret_sha256: SHA-256 of the secret, 32 bytes.
        scope: What the key allows.
        label: Who uses the key, for people; may be empty.
        expire_time_s: From when on it is refused, seconds since 1970; infinite when never.
        is_revoked: Whether it was revoked.
        requests_per_second: Calls a second in the long run; infinite without a limit.
        burst_count: Calls that may come at once, 1 or more.
    """

    key_id: str
    secret_sha256: bytes
    scope: Scope
    label: str
    expire_time_s: float
    is_revoked: bool
    requests_per_second: float
    burst_count: int


def read_key_file(path: Path) -> dict[str, ApiKey]:
    """Reads all keys of a file, by their ids.

    Args:
        path: The file; nobody but its owner may read or write it. Where it is root's and the
            service is not, its group may read it.

    Raises:
        AccessSetupError: If the file is missing, is open to others, or is no key file.
    """
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            mode = stat.S_IMODE(state.st_mode)
            if mode & _OF_OTHERS & ~_allowed_to_others(state):
                raise AccessSetupError(
                    f"the key file {path} is open to others (mode {mode:04o}): chmod 600 it"
                )
            content = file.read()
    except OSError as error:
        raise AccessSetupError(
            f"the key file {path} of --keys cannot be read: {error.strerror}; `twinshelf keys` "
            "makes one"
        ) from None
    try:
        key_file = json_format.Parse(content.decode(), access_pb2.KeyFile())
        keys = [_read_key(message) for message in key_file.keys]
    except (json_format.ParseError, ValueError) as error:
        raise AccessSetupError(f"{path} is no key file: {error}") from None
    by_id = {key.key_id: key for key in keys}
    if len(by_id) < len(keys):
        raise AccessSetupError(f"{path} is no key file: a key_id stands in it twice")
    return by_id


def _allowed_to_others(state: os.stat_result) -> int:
    """Returns what others than the owner may do: Kubernetes gives a secret to root and a group."""
    return stat.S_IRGRP if state.st_uid == _ROOT != os.geteuid() else 0


def _read_key(message: access_pb2.ApiKey) -> ApiKey:
    name = f"key {message.key_id!r}"
    if not _KEY_ID.fullmatch(message.key_id):
        raise ValueError(f"key_id must be 4 to 32 of a-z and 0-9, got {message.key_id!r}")
    if len(message.secret_sha256) != _HASH_BYTES:
        raise ValueError(
            f"{name} must have a secret_sha256 of {_HASH_BYTES} bytes, "
            f"got {len(message.secret_sha256)}"
        )
    scope = Scope(message.scope)
    if scope is Scope.OPEN:
        raise ValueError(f"{name} must have a scope")
    rate = message.requests_per_second if message.HasField("requests_per_second") else math.inf
    if not rate > 0:
        raise ValueError(f"{name} must have requests_per_second above zero, got {rate}")
    burst = message.burst_count if message.HasField("burst_count") else _one_second_of(rate)
    if burst < 1:
        raise ValueError(f"{name} must have a burst_count of 1 or more, got {burst}")
    has_end = message.HasField("expire_time")
    return ApiKey(
        key_id=message.key_id,
        secret_sha256=message.secret_sha256,
        scope=scope,
        label=message.label,
        expire_time_s=message.expire_time.ToNanoseconds() / 1e9 if has_end else math.inf,
        is_revoked=message.HasField("revoke_time"),
        requests_per_second=rate,
        burst_count=burst,
    )


def _one_second_of(rate: float) -> int:
    return 1 if math.isinf(rate) else max(1, math.floor(rate))
