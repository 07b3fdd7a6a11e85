"""Keys are recognised by their secrets, and follow their file."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.access.keys import NOW_S, make_key, token_of, write_keys
from twinshelf.server.access.key_ring import LOOK_INTERVAL_S, KeyRing
from twinshelf.server.access.scopes import Scope
from twinshelf.server.access.setup_error import AccessSetupError
from twinshelf.server.errors import UnauthenticatedError


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_keys(tmp_path / "keys.json", make_key("first"), make_key("second", "WRITE"))


@pytest.fixture
def ring(path: Path, clock: Clock) -> KeyRing:
    return KeyRing(path, clock_s=clock, now_s=lambda: NOW_S + clock.now_s)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UnauthenticatedError) as raised:
        call()
    return raised.value.message


def test_a_right_secret_gives_its_key(ring: KeyRing) -> None:
    assert ring.recognise(token_of("first")).scope is Scope.READ
    assert ring.recognise(token_of("second")).key_id == "second"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "ts_first",
        "ts_first_",
        "ts_first_wrong",
        "ts_none_secret_of_none",
        token_of("first").upper(),
        token_of("first") + " ",
        token_of("first")[:-1],
        "ts_first_" + "x" * 10_000,
        "ts_first_é",
        token_of("first").replace("first", "second", 1),
    ],
)
def test_whatever_is_wrong_is_told_alike(ring: KeyRing, token: str) -> None:
    assert refusal(lambda: ring.recognise(token)) == "the API key is unknown"


def test_expired_and_revoked_are_told_to_the_right_secret_only(
    path: Path, clock: Clock, ring: KeyRing
) -> None:
    write_keys(path, make_key("first", expire_s=NOW_S + 10), make_key("second", revoke_s=NOW_S))
    clock.now_s = 9.9
    assert ring.recognise(token_of("first"))
    assert "was revoked" in refusal(lambda: ring.recognise(token_of("second")))
    assert refusal(lambda: ring.recognise("ts_second_wrong")) == "the API key is unknown"
    clock.now_s = 10.0
    assert "has expired" in refusal(lambda: ring.recognise(token_of("first")))
    assert "has expired" in refusal(lambda: ring.recognise_again("first"))


def test_a_change_is_taken_up_after_a_second_without_a_restart(
    path: Path, clock: Clock, ring: KeyRing
) -> None:
    write_keys(path, make_key("third"))
    assert ring.recognise(token_of("first"))  # not looked at yet
    clock.now_s += LOOK_INTERVAL_S
    assert ring.recognise(token_of("third"))
    assert "unknown" in refusal(lambda: ring.recognise(token_of("first")))
    assert "unknown" in refusal(lambda: ring.recognise_again("first"))


def test_a_secret_that_kubernetes_lays_anew_is_taken_up(tmp_path: Path, clock: Clock) -> None:
    for name in ("first", "third"):
        (tmp_path / name).mkdir()
        write_keys(tmp_path / name / "keys.json", make_key(name))
    # Names are links through `..data`, which is turned to another folder.
    (tmp_path / "..data").symlink_to("first")
    path = tmp_path / "keys.json"
    path.symlink_to("..data/keys.json")
    ring = KeyRing(path, clock_s=clock, now_s=lambda: NOW_S)
    (tmp_path / "..new").symlink_to("third")
    (tmp_path / "..new").replace(tmp_path / "..data")
    clock.now_s += LOOK_INTERVAL_S
    assert ring.recognise(token_of("third"))
    assert "unknown" in refusal(lambda: ring.recognise(token_of("first")))


def break_content(path: Path) -> None:
    path.write_text("{")


def break_mode(path: Path) -> None:
    path.chmod(0o644)


@pytest.mark.parametrize("break_file", [break_content, break_mode, Path.unlink])
def test_a_broken_new_file_keeps_the_old_keys_and_is_logged_once(
    path: Path,
    clock: Clock,
    ring: KeyRing,
    break_file: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    break_file(path)
    for _ in range(5):
        clock.now_s += LOOK_INTERVAL_S
        assert ring.recognise(token_of("first"))
    assert len(caplog.records) == 1 and "stay in use" in caplog.text and str(path) in caplog.text
    write_keys(path, make_key("third"))
    clock.now_s += LOOK_INTERVAL_S
    assert ring.recognise(token_of("third"))


def test_a_revocation_holds_although_the_first_look_at_it_failed(
    path: Path,
    clock: Clock,
    ring: KeyRing,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    for _ in range(2):
        write_keys(path, make_key("first"))
        clock.now_s += LOOK_INTERVAL_S
        assert ring.recognise(token_of("first"))
        write_keys(path, make_key("first", revoke_s=NOW_S))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", fail)
            for _ in range(3):
                clock.now_s += LOOK_INTERVAL_S
                assert ring.recognise(token_of("first"))
        clock.now_s += LOOK_INTERVAL_S
        assert "was revoked" in refusal(lambda: ring.recognise(token_of("first")))
    assert caplog.text.count("Too many open files") == 2  # each time once


def test_a_file_that_cannot_be_used_at_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AccessSetupError):
        KeyRing(tmp_path / "no.json")


def test_a_file_without_keys_refuses_everybody_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing(write_keys(tmp_path / "keys.json"))
    assert "has no keys" in caplog.text
    assert "unknown" in refusal(lambda: ring.recognise(token_of("first")))
