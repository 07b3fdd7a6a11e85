"""`twinshelf keys`: what it prints, where, and its exit status; no service is asked."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from twinshelf.client.cli import main
from twinshelf.client.commands import output
from twinshelf.client.commands.keys_options import read_duration


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("TWINSHELF_KEYS", str(path))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert main(["keys", *arguments]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    out, err = run(capsys, *arguments, "--json")
    assert not err
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.slow
def test_add_prints_the_token_alone_on_stdout_and_list_never_does(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = run(capsys, "add", "--scope", "write", "--label", "shop")
    token = out.strip()
    _, key_id, secret = token.split("_")
    assert out == f"{token}\n" and f"key {key_id} with scope write for 'shop'" in err
    assert secret not in err and secret not in path.read_text()
    for arguments in (["list"], ["list", "--json"]):
        out, err = run(capsys, *arguments)
        assert key_id in out and "shop" in out and secret not in out + err


def test_json_has_every_field(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--expires", "90d", "--requests-per-second", "2.5", "--burst", "7"]
    (new,) = run_json(capsys, "add", "--scope", "read", *options)
    assert new.pop("token").startswith(f"ts_{new['key_id']}_")
    assert new["scope"] == "read" and new["state"] == "active"
    assert (new["requests_per_second"], new["burst_count"]) == (2.5, 7)
    assert new["expire_time"] > new["create_time"] and new["revoke_time"] is None
    assert run_json(capsys, "list") == [new]


@pytest.mark.slow
def test_rotate_and_revoke_change_the_state(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (old,) = run_json(capsys, "add", "--scope", "admin")
    out, err = run(capsys, "rotate", old["key_id"], "--overlap", "0s")
    assert out.startswith("ts_") and f"the old key {old['key_id']} ends 20" in err
    new_id = out.split("_")[1]
    assert run(capsys, "revoke", new_id)[0] == f"key {new_id} is revoked\n"
    assert run(capsys, "revoke", new_id)[0] == f"key {new_id} is revoked\n"  # a repeat is safe
    states = {each["key_id"]: each["state"] for each in run_json(capsys, "list")}
    assert states == {old["key_id"]: "expired", new_id: "revoked"}


def test_the_list_fits_into_80_columns(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    label = "the shop's nightly import, second [bold]line[/bold]"
    options = ["--expires", "90d", "--requests-per-second", "2500"]
    run(capsys, "add", "--scope", "admin", "--label", label, *options)
    wide, _ = run(capsys, "list")
    narrow = io.StringIO()
    monkeypatch.setattr(output, "make_console", lambda _: Console(file=narrow, width=80))
    run(capsys, "list")
    lines = narrow.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert label in wide
    for value in ("admin", "active", "2500", "ends (UTC)"):
        assert any(value in line for line in lines)


def test_the_file_option_wins_over_the_variable(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    run(capsys, "add", "--scope", "read", "--file", str(other))
    assert other.exists() and not path.exists()


def test_an_empty_file_says_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("{}")
    assert run(capsys, "list")[0] == "the file has no keys\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list"], "there is no key file"),
        (["revoke", "none"], "there is no key 'none'"),
        (["rotate", "none"], "there is no key 'none'"),
        (["add", "--scope", "read", "--burst", "3"], "--burst needs --requests-per-second"),
    ],
)
def test_what_cannot_be_done_exits_2_with_a_sentence(
    path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("twinshelf: ") and words in captured.err and not captured.out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["add"],
        ["add", "--scope", "root"],
        ["add", "--scope", "read", "--expires", "0d"],
        ["add", "--scope", "read", "--expires", "soon"],
        ["add", "--scope", "read", "--requests-per-second", "0"],
        ["add", "--scope", "read", "--requests-per-second", "nan"],
        ["add", "--scope", "read", "--requests-per-second", "1", "--burst", "0"],
        ["rotate", "x", "--overlap", "-1h"],
    ],
)
def test_a_wrong_option_exits_2(
    path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", *arguments]) == 2
    assert "Usage: twinshelf" in capsys.readouterr().err
    assert not path.exists()


def test_without_variable_the_file_must_be_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TWINSHELF_KEYS", raising=False)
    assert main(["keys", "list"]) == 2
    assert "--file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0s", timedelta()),
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("90d", timedelta(days=90)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_time_spans_are_read(text: str, span: timedelta) -> None:
    assert read_duration(text) == span


@pytest.mark.parametrize("text", ["", "5", "d", "1.5h", "-1h", "1 h", "1y", "36501d", "9" * 30])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_duration(text)
