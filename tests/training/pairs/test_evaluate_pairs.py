"""Evaluation of a finished scorer: what it refuses (what it writes is tested with training)."""

from pathlib import Path

import pytest

from twinshelf.training.pairs.evaluate_pairs import main


def test_a_missing_run_or_file_is_answered_in_words(
    tmp_path: Path, pair_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run", str(tmp_path), "--pairs", str(pair_folder / "test.txt")]) == 1
    assert "pairs.json" in capsys.readouterr().err
