"""The key file is private, whole at any time, and loses nothing to two writers."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from twinshelf.client.api_keys import ApiKeyError, add_key
from twinshelf.client.key_file import changing_keys, read_keys
from twinshelf.v1 import access_pb2

NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def add(path: Path) -> str:
    with changing_keys(path) as keys:
        return add_key(keys, access_pb2.ApiKey(scope=access_pb2.ACCESS_SCOPE_READ), NOW).key.key_id


def ids_in(path: Path) -> list[str]:
    return [key.key_id for key in read_keys(path).keys]


def test_the_file_is_made_and_only_its_owner_can_read_it(path: Path) -> None:
    old_mask = os.umask(0)
    try:
        first = add(path)
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    second = add(path)
    assert ids_in(path) == [first, second]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("owner", "mode", "kept"), [(0, 0o440, 0o640), (0, 0o644, 0o600), (7, 0o640, 0o600)]
)
def test_whoever_could_read_the_file_still_can_after_root_has_changed_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int, kept: int
) -> None:
    add(path)
    path.chmod(mode)
    look, given = Path.stat, []

    def stat_of_another(self: Path, **options: bool) -> os.stat_result:
        """Tells of another owner and group, whoever runs the test."""
        state = list(look(self, **options))
        state[stat.ST_UID], state[stat.ST_GID] = owner, 1234
        return os.stat_result(state)

    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 0)
        patch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
        patch.setattr(Path, "stat", stat_of_another)
        add(path)
    assert given == [(owner, 1234)]
    assert stat.S_IMODE(path.stat().st_mode) == kept


@pytest.mark.slow
def test_writers_at_once_lose_nothing(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: add(path), range(80)))
    assert sorted(ids_in(path)) == sorted(added) and len(set(added)) == 80


@pytest.mark.slow
def test_a_reader_never_sees_half_a_file(path: Path) -> None:
    add(path)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [add(path) for _ in range(50)])
        counts = [len(ids_in(path))]
        while not writing.done():
            counts.append(len(ids_in(path)))
        writing.result()
    assert counts == sorted(counts)


def test_what_fails_leaves_the_file_as_it_was_and_nothing_beside_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), changing_keys(path) as keys:
        keys.Clear()
        raise RuntimeError

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ApiKeyError, match="cannot be written: No space left"):
        add(path)
    assert path.read_bytes() == before
    assert {each.name for each in path.parent.iterdir()} == {"keys.json", ".keys.json.lock"}


def test_a_link_to_the_file_stays_a_link(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)
    key_id = add(link)
    assert link.is_symlink() and ids_in(path) == [key_id]


def test_a_file_that_cannot_be_used_is_named(path: Path) -> None:
    with pytest.raises(ApiKeyError, match=r"no key file .*keys\.json: `twinshelf keys add`"):
        read_keys(path)
    path.write_text("{")
    for use in (add, read_keys):
        with pytest.raises(ApiKeyError, match=r"keys\.json is no key file"):
            use(path)
    assert path.read_text() == "{"
    with pytest.raises(ApiKeyError, match="cannot be written: No such file"):
        add(path.parent / "none" / "keys.json")
