"""The key file is read whole, or refused with its name and the reason."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path

import pytest

from tests.server.access.keys import NOW_S, make_key, write_keys
from twinshelf.server.access.key_file import read_key_file
from twinshelf.server.access.scopes import Scope
from twinshelf.server.access.setup_error import AccessSetupError


def test_every_field_of_a_key_is_read(tmp_path: Path) -> None:
    path = write_keys(
        tmp_path / "keys.json",
        make_key("full", "WRITE", label="shop", expire_s=NOW_S, requests_per_second=2.5),
        make_key("bare", "ADMIN", revoke_s=NOW_S),
    )
    full, bare = read_key_file(path).values()
    assert (full.key_id, full.scope, full.label) == ("full", Scope.WRITE, "shop")
    assert (full.expire_time_s, full.is_revoked) == (NOW_S, False)
    assert (full.requests_per_second, full.burst_count) == (2.5, 2)
    assert (bare.scope, bare.is_revoked, bare.expire_time_s) == (Scope.ADMIN, True, math.inf)
    assert bare.requests_per_second == math.inf


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_keys(tmp_path / "keys.json", make_key("some"))
    path.chmod(mode)
    with pytest.raises(AccessSetupError, match=rf"{path} is open to others.*chmod 600"):
        read_key_file(path)


@pytest.mark.parametrize(
    ("owner", "user", "mode", "is_read"),
    [
        (0, 1000, 0o440, True),
        (0, 1000, 0o640, True),
        (0, 1000, 0o460, False),
        (0, 1000, 0o444, False),
        (0, 1000, 0o442, False),
        (0, 0, 0o440, False),
        (1000, 1000, 0o440, False),
        (2000, 1000, 0o440, False),
    ],
)
def test_the_group_may_read_what_root_laid_for_a_service_without_rights(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: int,
    user: int,
    mode: int,
    is_read: bool,
) -> None:
    path = write_keys(tmp_path / "keys.json", make_key("some"))
    path.chmod(mode)
    # Only root may give files away: the owner is made up.
    true_fstat = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        fields = list(true_fstat(descriptor))
        fields[stat.ST_UID] = owner
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", fstat)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if is_read:
        assert list(read_key_file(path)) == ["some"]
    else:
        with pytest.raises(AccessSetupError, match="is open to others"):
            read_key_file(path)


def test_a_file_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        AccessSetupError,
        match=r"no\.json of --keys cannot be read: No such file.* `twinshelf keys` makes one",
    ):
        read_key_file(tmp_path / "no.json")
    with pytest.raises(AccessSetupError, match="cannot be read"):
        read_key_file(tmp_path)


GOOD = {
    "keyId": "some",
    "secretSha256": "A" * 43 + "=",
    "scope": "ACCESS_SCOPE_READ",
    "createTime": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keyId": "a_b"}, "4 to 32 of a-z and 0-9, got 'a_b'"),
        ({"keyId": ""}, "4 to 32 of a-z and 0-9"),
        ({"secretSha256": "AAAA"}, "secret_sha256 of 32 bytes, got 3"),
        ({"scope": "ACCESS_SCOPE_UNSPECIFIED"}, "must have a scope"),
        ({"scope": "ACCESS_SCOPE_ROOT"}, "no key file"),
        ({"scope": 7}, "7 is not a valid Scope"),
        ({"requestsPerSecond": 0}, "above zero, got 0"),
        ({"requestsPerSecond": "NaN"}, "above zero, got nan"),
        ({"requestsPerSecond": 1, "burstCount": 0}, "burst_count of 1 or more, got 0"),
        ({"expireTime": "soon"}, "no key file"),
        ({"fieldOfTomorrow": 1}, "fieldOfTomorrow"),
    ],
)
def test_a_key_that_cannot_be_used_makes_the_file_unusable(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    path = tmp_path / "keys.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"keys": [GOOD]}))
    assert list(read_key_file(path)) == ["some"]
    path.write_text(json.dumps({"keys": [GOOD | change]}))
    with pytest.raises(AccessSetupError, match=words):
        read_key_file(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b'{"keys": 1}'])
def test_what_is_no_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.json"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(AccessSetupError, match="is no key file"):
        read_key_file(path)


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write_keys(tmp_path / "keys.json", make_key("some"), make_key("some", "ADMIN"))
    with pytest.raises(AccessSetupError, match="twice"):
        read_key_file(path)
