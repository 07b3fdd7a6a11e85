"""Keys are made, replaced and revoked in the file's message."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from twinshelf.client.api_keys import (
    ApiKeyError,
    add_key,
    find_key,
    revoke_key,
    rotate_key,
    state_of,
)
from twinshelf.v1 import access_pb2

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def wanted(**fields: Any) -> access_pb2.ApiKey:
    return access_pb2.ApiKey(scope=access_pb2.ACCESS_SCOPE_WRITE, label="shop", **fields)


def ends_at(key: access_pb2.ApiKey) -> datetime:
    return key.expire_time.ToDatetime(tzinfo=UTC)


def test_a_token_names_its_key_and_the_file_has_only_the_hash_of_its_secret() -> None:
    keys = access_pb2.KeyFile()
    new = add_key(keys, wanted(), NOW)
    parts = re.fullmatch(r"ts_([0-9a-f]{8})_([0-9a-f]{64})", new.token)
    assert parts is not None and parts[1] == new.key.key_id
    assert new.key.secret_sha256 == hashlib.sha256(parts[2].encode()).digest()
    assert parts[2] not in str(keys)
    assert list(keys.keys) == [new.key] and state_of(new.key, NOW) == "active"


def test_no_two_keys_are_alike() -> None:
    keys = access_pb2.KeyFile()
    tokens = {add_key(keys, wanted(), NOW).token for _ in range(500)}
    assert len(tokens) == len({key.key_id for key in keys.keys}) == 500


def test_a_rotated_key_keeps_scope_and_limits_and_the_old_one_ends_after_the_overlap() -> None:
    keys = access_pb2.KeyFile()
    old = add_key(keys, wanted(requests_per_second=5, burst_count=9), NOW)
    new = rotate_key(keys, old.key.key_id, overlap=HOUR, now=NOW)
    assert new.key.key_id != old.key.key_id and new.token != old.token
    assert new.key.scope == access_pb2.ACCESS_SCOPE_WRITE and new.key.label == "shop"
    assert (new.key.requests_per_second, new.key.burst_count) == (5, 9)
    assert not new.key.HasField("expire_time")
    found = find_key(keys, old.key.key_id)
    assert ends_at(found) == NOW + HOUR
    assert state_of(found, NOW + HOUR - timedelta(seconds=1)) == "active"
    assert state_of(found, NOW + HOUR) == "expired"


def test_a_key_that_ends_is_replaced_by_one_that_lasts_as_long() -> None:
    keys = access_pb2.KeyFile()
    key = wanted()
    key.expire_time.FromDatetime(NOW + 10 * HOUR)
    old = add_key(keys, key, NOW)
    later = NOW + 9.5 * HOUR
    new = rotate_key(keys, old.key.key_id, overlap=HOUR, now=later)
    assert ends_at(new.key) == later + 10 * HOUR
    assert ends_at(find_key(keys, old.key.key_id)) == NOW + 10 * HOUR  # not made to last longer


def test_a_key_is_rotated_once() -> None:
    keys = access_pb2.KeyFile()
    old = add_key(keys, wanted(), NOW).key.key_id
    new = rotate_key(keys, old, overlap=HOUR, now=NOW).key
    with pytest.raises(ApiKeyError, match=f"replaced by {new.key_id}: rotate that one"):
        rotate_key(keys, old, overlap=HOUR, now=NOW)
    assert not new.HasField("expire_time")


def test_a_revoked_key_stays_as_it_is() -> None:
    keys = access_pb2.KeyFile()
    key_id = add_key(keys, wanted(), NOW).key.key_id
    for hours in (0, 1):
        assert state_of(revoke_key(keys, key_id, NOW + hours * HOUR), NOW) == "revoked"
    assert find_key(keys, key_id).revoke_time.ToDatetime(tzinfo=UTC) == NOW
    with pytest.raises(ApiKeyError, match="was revoked"):
        rotate_key(keys, key_id, overlap=HOUR, now=NOW)


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(ApiKeyError, match="there is no key 'none'"):
        revoke_key(access_pb2.KeyFile(), "none", NOW)
