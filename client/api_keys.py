"""API keys: making, replacing and revoking them in a `KeyFile` of `access.proto`."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from twinshelf.v1 import access_pb2

KeyState = Literal["active", "expired", "revoked"]

_SECRET_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4


class ApiKeyError(ValueError):
    """What was asked of the keys cannot be done; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was made just now.

    Attributes:
        key: What the file keeps of it.
        token: What the caller shows; it can never be told again.
    """

    key: access_pb2.ApiKey
    token: str


def add_key(keys: access_pb2.KeyFile, wanted: access_pb2.ApiKey, now: datetime) -> NewKey:
    """Adds a key.

    Args:
        keys: Gets the key.
        wanted: Its scope, label, limits and end; id, secret and time are made here.
        now: The time, UTC.
    """
    known_ids = {each.key_id for each in keys.keys}
    while (key_id := secrets.token_hex(_KEY_ID_BYTES)) in known_ids:
        pass
    secret = secrets.token_hex(_SECRET_BYTES)
    key = keys.keys.add()
    key.CopyFrom(wanted)
    key.key_id = key_id
    key.secret_sha256 = hashlib.sha256(secret.encode()).digest()
    key.create_time.FromDatetime(now)
    return NewKey(key=key, token=f"ts_{key_id}_{secret}")


def rotate_key(
    keys: access_pb2.KeyFile, key_id: str, *, overlap: timedelta, now: datetime
) -> NewKey:
    """Adds a key like another one, which ends after a while.

    A key that lasts for some time is replaced by one that lasts as long, from now on.

    Args:
        keys: Holds the old key and gets the new one.
        key_id: The old key.
        overlap: How long both are valid, zero or more.
        now: The time, UTC.

    Raises:
        ApiKeyError: If there is no such key, it was revoked, or another took its place already.
    """
    old = find_key(keys, key_id)
    if old.replaced_by:
        raise ApiKeyError(f"the key {key_id} was replaced by {old.replaced_by}: rotate that one")
    if old.HasField("revoke_time"):
        raise ApiKeyError(f"the key {key_id} was revoked: add a new one instead")
    wanted = access_pb2.ApiKey()
    wanted.CopyFrom(old)
    end = now + overlap
    if old.HasField("expire_time"):
        lifetime = old.expire_time.ToDatetime() - old.create_time.ToDatetime()
        wanted.expire_time.FromDatetime(now + lifetime)
        end = min(end, old.expire_time.ToDatetime(tzinfo=now.tzinfo))
    old.expire_time.FromDatetime(end)
    new = add_key(keys, wanted, now)
    old.replaced_by = new.key.key_id
    return new


def revoke_key(keys: access_pb2.KeyFile, key_id: str, now: datetime) -> access_pb2.ApiKey:
    """Revokes a key for good; one that was revoked before stays as it is.

    Args:
        keys: Holds the key.
        key_id: Which.
        now: The time, UTC.

    Raises:
        ApiKeyError: If there is no such key.
    """
    key = find_key(keys, key_id)
    if not key.HasField("revoke_time"):
        key.revoke_time.FromDatetime(now)
    return key


def find_key(keys: access_pb2.KeyFile, key_id: str) -> access_pb2.ApiKey:
    """Returns a key by its id.

    Raises:
        ApiKeyError: If there is no such key.
    """
    for key in keys.keys:
        if key.key_id == key_id:
            return key
    raise ApiKeyError(f"there is no key {key_id!r}")


def state_of(key: access_pb2.ApiKey, now: datetime) -> KeyState:
    """Returns whether a key is valid, or why not.

    Args:
        key: Which.
        now: The time, UTC.
    """
    if key.HasField("revoke_time"):
        return "revoked"
    if key.HasField("expire_time") and key.expire_time.ToDatetime(tzinfo=now.tzinfo) <= now:
        return "expired"
    return "active"
