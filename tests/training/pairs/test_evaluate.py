"""Evaluation of a finished scorer: what it refuses (what it writes is tested with training)."""

from training.pairs.evaluate import main


def test_a_missing_run_or_file_is_answered_in_words(tmp_path, pair_folder, capsys):
    assert main(["--run", str(tmp_path), "--pairs", str(pair_folder / "test.txt")]) == 1
    assert "pairs.json" in capsys.readouterr().err
