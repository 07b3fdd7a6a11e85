"""Tests of the command that trains; what it trains is tested in test_run."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException

from twinshelf.training import train
from twinshelf.training.runs import training_run


@pytest.mark.parametrize(
    ("has_ended", "told"), [(True, "--resume goes on"), (False, "first epoch had not ended")]
)
def test_a_stopped_training_is_no_success_and_tells_whether_it_can_go_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    has_ended: bool,
    told: str,
) -> None:
    if has_ended:
        (tmp_path / "last.ckpt").touch()

    def be_stopped(config: object) -> None:
        raise SIGTERMException

    monkeypatch.setattr(training_run, "train", be_stopped)
    assert train.main(["--config", "demo", "--output", str(tmp_path)]) == 143
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_missing_data_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    status = train.main(["--data.folder", str(folder), "--output", str(tmp_path / "run")])
    assert status == 1
    assert str(folder) in capsys.readouterr().err
