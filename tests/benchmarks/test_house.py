"""The figures of `training/`."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.house import measure_training


def test_lines_files_and_names_are_counted(tmp_path: Path) -> None:
    for name in ("train.py", "__init__.py", "model/tower.py", "runs/tower.py", "runs/__init__.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("a\nb\n")
    (tmp_path / "test_train.py").write_text("a\n")
    assert measure_training(tmp_path) == {
        "lines, files": "10 in 5",
        "lines of the core and of the root": "6",
        "modules in the root": "1",
        "names of files in several rooms": "1 tower.py",
    }
