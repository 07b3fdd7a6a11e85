"""The record of an environment: what it holds, and that steps stand side by side."""

from __future__ import annotations

import json
import platform
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from twinshelf.training.runs.environment import read_environments, record_environment

pytestmark = pytest.mark.slow


def test_a_record_holds_versions_processors_and_revision(tmp_path: Path) -> None:
    path = record_environment(tmp_path / "run")
    found = json.loads(path.read_text())["training"]
    assert found["python_version"] == platform.python_version()
    assert found["packages"]["torch"] == version("torch")
    assert found["cpu_count"] >= 1
    assert isinstance(found["gpus"], list)
    assert set(found["git_revision"]) <= set("0123456789abcdef")


def test_steps_stand_side_by_side_and_a_repeat_replaces(tmp_path: Path) -> None:
    record_environment(tmp_path)
    record_environment(tmp_path, "evaluation")
    record_environment(tmp_path, "evaluation")
    assert list(read_environments(tmp_path)) == ["training", "evaluation"]
    assert [file.name for file in tmp_path.iterdir()] == ["environment.json"]


def test_neither_machine_nor_path_is_recorded(tmp_path: Path) -> None:
    text = record_environment(tmp_path).read_text()
    assert socket.gethostname() not in text
    assert str(tmp_path) not in text
    assert str(Path(__file__).parent) not in text


def test_outside_of_git_the_revision_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.setattr(subprocess, "run", fail)
    record_environment(tmp_path)
    found = read_environments(tmp_path)["training"]
    assert found["git_revision"] == ""
    assert found["has_uncommitted_changes"] is False


def test_a_torn_record_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text('{"training": ')
    assert read_environments(tmp_path) == {}
    record_environment(tmp_path)
    assert list(read_environments(tmp_path)) == ["training"]
