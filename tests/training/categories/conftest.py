"""A tiny run, made once; tests write elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.evaluation.tiny_run import make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no test writes into."""
    return make_run(tmp_path_factory.mktemp("categories"))
