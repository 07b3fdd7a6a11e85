"""A tiny run, made once; tests that write copy it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.training.evaluation.tiny_run import make_run


@pytest.fixture(scope="session")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no test writes into."""
    return make_run(tmp_path_factory.mktemp("evaluated"))


@pytest.fixture
def run(made_run: Path, tmp_path: Path) -> Path:
    """A run of the test's own."""
    return Path(shutil.copytree(made_run, tmp_path / "run"))
