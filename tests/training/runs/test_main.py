"""The command that compares runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinshelf.training.runs.__main__ import main


def test_it_prints_a_table_and_returns_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("first", 1), ("second", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(f"seed: {seed}\n")
    assert main([str(tmp_path / "first"), str(tmp_path / "second"), "--width", "100"]) == 0
    text = capsys.readouterr().out
    assert "first" in text and "second" in text and "seed" in text


def test_a_folder_that_is_no_run_is_a_sentence_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 1
    assert "runs failed: no config.yaml" in capsys.readouterr().err
