"""The command that starts the page."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import typer
from starlette.testclient import TestClient
from typer.testing import CliRunner

from twinshelf.client.web import __main__ as command


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What uvicorn would serve."""
    options: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **given: options.update(given, app=app))
    return options


@pytest.fixture
def usual_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have the page open while the tests run."""
    monkeypatch.setattr(command, "_require_free", lambda listen: None)


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Any:
    app = typer.Typer()
    app.command()(command.serve)
    return CliRunner().invoke(app, arguments, env=environment)


def test_the_page_listens_on_loopback(
    started: dict[str, Any], tmp_path: Path, usual_port: None
) -> None:
    judgements = tmp_path / "j.sqlite"
    outcome = run("--judgements", str(judgements))
    assert outcome.exit_code == 0 and "http://127.0.0.1:8080" in outcome.stdout
    assert started["host"] == "127.0.0.1" and started["port"] == 8080 and judgements.exists()


def test_a_port_that_is_taken_is_a_sentence(started: dict[str, Any], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        outcome = run("--listen", address, "--judgements", str(tmp_path / "j.sqlite"))
    assert outcome.exit_code == 2 and not started and "the page is at" not in outcome.stdout
    assert f"{address} cannot be listened on (Address already in use)" in outcome.stderr


def test_a_name_that_nobody_knows_is_a_sentence(
    started: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Python words it; to ask for a name may take long.
    said = "Name or service not known (while attempting to bind on address ('nowhere', 8080))"
    unknown = OSError(socket.EAI_NONAME, said)
    monkeypatch.setattr(socket, "create_server", Mock(side_effect=unknown))
    outcome = run("--listen", "nowhere:8080", "--judgements", str(tmp_path / "j.sqlite"))
    assert outcome.exit_code == 2 and not started
    assert "nowhere:8080 cannot be listened on (Name or service not known)" in outcome.stderr


def test_the_page_listens_where_it_is_told(started: dict[str, Any], tmp_path: Path) -> None:
    outcome = run("--listen", "[::1]:50909", "--judgements", str(tmp_path / "j.sqlite"))
    assert outcome.exit_code == 0 and started["host"] == "::1" and started["port"] == 50909
    assert "--host" not in outcome.stdout


def test_beyond_loopback_the_page_says_by_which_names_browsers_may_call_it(
    started: dict[str, Any], tmp_path: Path
) -> None:
    names = ("--listen", "0.0.0.0:50909", "--host", "shop.example")
    outcome = run(*names, "--judgements", str(tmp_path / "j.sqlite"))
    assert "call it 127.0.0.1, localhost, [::1], 0.0.0.0, shop.example; --host" in outcome.stdout


def test_the_page_knows_the_services_to_compare_with(
    started: dict[str, Any], tmp_path: Path, usual_port: None
) -> None:
    outcome = run(
        *("--beside", "127.0.0.1:1", "--beside", "127.0.0.1:2", "--views", "sold"),
        *("--metrics", "127.0.0.1:3", "--judgements", str(tmp_path / "j.sqlite")),
    )
    assert outcome.exit_code == 0, outcome.stderr
    with TestClient(started["app"], base_url="http://127.0.0.1:8080") as client:
        text = client.get("/compare").text
    assert "<option>127.0.0.1:1</option>" in text
    assert "<option selected>127.0.0.1:2</option>" in text  # the last one, on the right


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--address", "localhost"], "address must be HOST:PORT"),
        (["--beside", "localhost"], "address must be HOST:PORT"),
        (["--ca-file", "no.pem"], "the TLS file no.pem cannot be read"),
        (["--api-key-file", os.devnull], "the API key file /dev/null is empty"),
        (["--host", "shop.example:8080"], "a host must be a name alone"),
        (["--host", "*shop.example"], "a host must be a name alone"),
    ],
)
def test_what_the_page_cannot_work_with_is_a_sentence_when_it_starts(
    started: dict[str, Any], tmp_path: Path, arguments: list[str], said: str
) -> None:
    outcome = run(*arguments, "--judgements", str(tmp_path / "j"))
    assert outcome.exit_code == 2 and said in outcome.stderr and not started
    assert not started


def test_a_key_file_that_is_not_there_is_a_sentence(
    started: dict[str, Any], tmp_path: Path
) -> None:
    outcome = run("--api-key-file", str(tmp_path / "no"), "--judgements", str(tmp_path / "j"))
    assert outcome.exit_code == 2 and "API key file" in outcome.stderr
    assert not started
