"""Runs side by side: differing settings, figures with the best marked, missing files."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from twinshelf.training.runs.comparison import best_columns, comparison_tables, read_run
from twinshelf.training.runs.environment import record_environment


def make_run(folder: Path, *, epochs: int, recall: float | None) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text(f"seed: 1\noutput: {folder}\nloop:\n  epochs: {epochs}\n")
    (folder / "metrics.json").write_text(
        json.dumps({"recall_at_1": {"image": recall}, "epoch_count": epochs})
    )
    return folder


def evaluated(folder: Path) -> None:
    pattern = {
        "metrics": {"MAP": {"value": 0.625, "low": 0.5, "high": 0.7}},
        "pair_average_precision": None,
        "held_out": {
            "worlds": {"open": {"first": {"error": {"value": 0.031}}}},
            "row_f1": {"value": 0.7, "low": 0, "high": 1},
        },
    }
    (folder / "evaluation.json").write_text(json.dumps({"patterns": {"text": pattern}}))
    categories = folder / "categories" / "group"
    categories.mkdir(parents=True)
    methods = {"knn": {"reported": {"weighted_f1": 0.875}}}
    (categories / "categories.json").write_text(json.dumps({"patterns": {"image": methods}}))


def printed(*folders: Path) -> str:
    console = Console(width=120, file=StringIO())
    console.print(comparison_tables([read_run(folder) for folder in folders]))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_only_settings_that_differ_are_shown(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", epochs=3, recall=0.5),
            make_run(tmp_path / "b", epochs=9, recall=0.75)]  # fmt: skip
    text = printed(*runs)
    assert "loop.epochs" in text
    assert "seed" not in text
    assert "output" not in text
    assert "0.500" in text and "0.750" in text


@pytest.mark.slow
def test_all_kinds_of_figures_are_read(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", epochs=3, recall=None)
    evaluated(folder)
    record_environment(folder)
    run = read_run(folder)
    assert math.isnan(run.figures["validation recall_at_1.image"])
    assert run.figures["text MAP"] == 0.625
    assert run.figures["text held_out.row_f1.value"] == 0.7
    assert run.figures["image group knn weighted_f1"] == 0.875
    assert math.isnan(run.figures["text pair_average_precision"])
    assert run.environment["python_version"]


def test_figures_of_pair_scorers_are_read(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "pairs", epochs=4, recall=None)
    measured = {"f1": 0.75, "pr_auc": None, "threshold": 0.4, "pair_count": 90}
    (folder / "pairs.json").write_text(json.dumps({"validation": {"boosting": measured}}))
    (folder / "evaluation-test.json").write_text(json.dumps(measured | {"f1": 0.625}))
    figures = read_run(folder).figures
    assert figures["validation boosting f1"] == 0.75
    assert math.isnan(figures["validation boosting pr_auc"])
    assert figures["evaluation-test f1"] == 0.625
    assert best_columns("evaluation-test threshold", [0.4, 0.5]) == set()


def test_what_a_run_lacks_is_a_dash(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", epochs=3, recall=0.5)
    second = make_run(tmp_path / "b", epochs=3, recall=0.5)
    evaluated(first)
    (second / "metrics.json").unlink()
    line = next(line for line in printed(first, second).splitlines() if "text MAP" in line)
    assert "0.625" in line and "–" in line


def test_the_best_is_the_lowest_for_errors_and_none_for_counts_and_ties() -> None:
    assert best_columns("text MAP", [0.5, 0.7, math.nan]) == {1}
    assert best_columns("text held_out.worlds.open.first.error.value", [0.1, 0.2]) == {0}
    assert best_columns("validation epoch_count", [3, 4]) == set()
    assert best_columns("text MAP", [0.5, 0.5]) == set()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not the folder of a run"):
        read_run(tmp_path)
    folder = make_run(tmp_path / "a", epochs=3, recall=0.5)
    (folder / "metrics.json").write_text("{")
    with pytest.raises(ValueError, match=r"metrics\.json cannot be read"):
        read_run(folder)
    with pytest.raises(ValueError, match="at least one run"):
        comparison_tables([])
