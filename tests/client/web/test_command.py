"""The command that starts the page."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def test_the_page_listens_where_it_is_told(started: dict[str, Any], tmp_path: Path) -> None:
    outcome = run("--listen", "[::1]:50909", "--judgements", str(tmp_path / "j.sqlite"))
    assert outcome.exit_code == 0 and started["host"] == "::1" and started["port"] == 50909


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


@pytest.mark.parametrize("option", ["--address", "--beside"])
def test_an_address_without_a_port_is_a_sentence(
    started: dict[str, Any], tmp_path: Path, option: str
) -> None:
    outcome = run(option, "localhost", "--judgements", str(tmp_path / "j"))
    assert outcome.exit_code == 2 and "address must be HOST:PORT" in outcome.stderr
    assert not started


def test_a_key_file_that_is_not_there_is_a_sentence(
    started: dict[str, Any], tmp_path: Path
) -> None:
    outcome = run("--api-key-file", str(tmp_path / "no"), "--judgements", str(tmp_path / "j"))
    assert outcome.exit_code == 2 and "API key file" in outcome.stderr
    assert not started
