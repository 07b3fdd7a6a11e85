"""The command line of the evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.evaluation.tiny_run import make_run
from training.evaluate import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


def test_tables_are_printed_and_saved(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(run), "--top-k", "3,1", "--no-plots", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "NDCG@3" in out and "Acc@10" in out and "P@5" not in out
    assert (run / "evaluation.json").is_file()
    assert (run / "calibration.json").is_file()
    assert not (run / "plots").exists()


def test_a_missing_run_ends_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(tmp_path / "gone")]) == 1
    assert "evaluation failed: no config.yaml in" in capsys.readouterr().err


def test_settings_out_of_range_end_with_a_sentence(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(run), "--neighbours", "99"]) == 1
    assert "neighbour_count must be 1 to candidate_count" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--top-k=one", "--columns=nothing", "--unknown"])
def test_wrong_options_are_refused(option: str) -> None:
    with pytest.raises(SystemExit):
        main(["--run", "x", option])
