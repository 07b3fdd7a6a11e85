"""Tiny runs with and without a calibration, made once; tests write elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.evaluation.tiny_run import make_run
from tests.training.grouping.planted import CALIBRATION


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a calibration that no test writes into."""
    folder = make_run(tmp_path_factory.mktemp("grouped"))
    (folder / "calibration.json").write_text(CALIBRATION.to_json())
    return folder
