"""Rows: their commands, what is repeated, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.quality.places import Command, Places
from tests.benchmarks.quality.runner import ROWS, Conduct, collect_results, run_row, save_table
from tests.benchmarks.quality.small_data import (
    run_here,
    write_fashion,
    write_grocery,
    write_image_weights,
    write_pairs,
    write_sports,
)
from twinshelf.server.command_line import read_command_line
from twinshelf.training.catalogues.prepare import Source
from twinshelf.training.categories.category_config import CategoryOptions
from twinshelf.training.config import read_config
from twinshelf.training.evaluation.evaluation_config import EvaluationOptions
from twinshelf.training.pairs.evaluate_pairs import PairEvaluationOptions
from twinshelf.training.pairs.train_pairs import PairTrainingOptions

pytestmark = pytest.mark.slow


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.chdir(tmp_path)  # decoded photos go below the working folder
    return Places(
        data_root=tmp_path / "data",
        output=tmp_path / "out",
        image_weights=tmp_path / "weights" / "image.pth",
    )


@pytest.mark.parametrize("name", list(ROWS))
@pytest.mark.parametrize("text_encoder", [None, Path("text")])
def test_every_command_is_one_that_its_module_takes(
    name: str, text_encoder: Path | None, tmp_path: Path
) -> None:
    places = Places(
        data_root=tmp_path / "data",
        output=tmp_path / "out",
        image_weights=tmp_path / "image.pth",
        text_encoder=text_encoder,
    )
    row = ROWS[name](places)
    kinds = {
        "twinshelf.training.catalogues.prepare": Source,
        "twinshelf.training.evaluation": EvaluationOptions,
        "twinshelf.training.categories": CategoryOptions,
        "twinshelf.training.pairs.train_pairs": PairTrainingOptions,
        "twinshelf.training.pairs.evaluate_pairs": PairEvaluationOptions,
    }
    for command in row.steps:
        if command.module == "twinshelf.training.train":
            read_config(command.arguments)
        elif command.module in kinds:
            read_command_line(kinds[command.module], command.module, command.arguments)
        assert str(tmp_path / "data") not in places.shorten(command.text)


def test_the_sports_row_runs_from_its_data_alone(places: Places) -> None:
    write_sports(places.data_root / "sports")
    result = run_row(ROWS["sports"](places), places, Conduct(execute=run_here))
    assert result.measurements[0].value > 0.5
    save_table(places.output, collect_results(places.output))
    assert json.loads((places.output / "quality.json").read_text())[0]["row"] == "sports"
    assert "| Acc@10 by target class" in (places.output / "quality.md").read_text()


def test_the_grocery_row_matches_photos_and_names_products(places: Places) -> None:
    write_grocery(places.data_root / "grocery")
    write_image_weights(places.image_weights)
    result = run_row(ROWS["grocery"](places), places, Conduct(execute=run_here))
    assert [figure.reach for figure in result.measurements] == [0.85, 0.9]
    assert all(figure.low is not None for figure in result.measurements)


def test_the_fashion_row_predicts_types_by_image_title_and_both(places: Places) -> None:
    write_fashion(places.data_root / "fashion")
    write_image_weights(places.image_weights)
    result = run_row(ROWS["fashion"](places), places, Conduct(execute=run_here))
    assert len(result.measurements) == 3
    assert all(0 <= figure.value <= 1 for figure in result.measurements)
    assert any("$IMAGE_WEIGHTS" in step for step in result.steps)


def test_a_pairs_row_estimates_until_a_test_half_is_there(places: Places) -> None:
    folder = places.data_root / "pairs" / "Abt-Buy"
    write_pairs(folder)
    estimated = run_row(ROWS["abt-buy"](places), places, Conduct(execute=run_here)).measurements[0]
    assert "estimated" in estimated.task and estimated.low is not None
    (folder / "test.txt").write_text((folder / "valid.txt").read_text())
    conduct = Conduct(trains=False, execute=run_here)
    tested = run_row(ROWS["abt-buy"](places), places, conduct).measurements[0]
    assert tested.task == "pair F1 on test, threshold from validation"


class Recorder:
    """Notes commands, and leaves what a training and an evaluation of sports cards leave."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.modules: list[str] = []

    def __call__(self, command: Command) -> None:
        self.modules.append(command.module)
        run = self.places.run("sports")
        run.mkdir(parents=True, exist_ok=True)
        for path in command.makes:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        if command.module == "twinshelf.training.evaluation":
            estimate = {"value": 0.97, "low": 0.9, "high": None}
            found = {"patterns": {"text": {"metrics": {"Acc@10": estimate, "P@10": estimate}}}}
            (run / "evaluation.json").write_text(json.dumps(found))


def test_a_training_is_repeated_only_when_its_inputs_change(places: Places) -> None:
    write_sports(places.data_root / "sports")
    recorder = Recorder(places)

    def count_trainings(conduct: Conduct) -> int:
        recorder.modules.clear()
        run_row(ROWS["sports"](places), places, conduct)
        assert recorder.modules[-1] == "twinshelf.training.evaluation"
        return recorder.modules.count("twinshelf.training.train")

    usual = Conduct(execute=recorder)
    assert count_trainings(usual) == 1
    assert count_trainings(usual) == 0
    assert count_trainings(Conduct(execute=recorder, forces=True)) == 1
    path = places.data_root / "sports" / "company_data.csv"
    path.write_text(path.read_text().replace("модель 1", "модель 9"))
    assert count_trainings(Conduct(execute=recorder, trains=False)) == 0
    assert count_trainings(usual) == 1


def test_a_training_that_fails_is_not_taken_for_done(places: Places) -> None:
    write_sports(places.data_root / "sports")
    recorder = Recorder(places)
    run_row(ROWS["sports"](places), places, Conduct(execute=recorder))

    def fail(command: Command) -> None:
        if command.module == "twinshelf.training.train":
            raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        run_row(ROWS["sports"](places), places, Conduct(execute=fail, forces=True))
    recorder.modules.clear()
    run_row(ROWS["sports"](places), places, Conduct(execute=recorder))
    assert "twinshelf.training.train" in recorder.modules


def test_without_a_run_there_is_nothing_to_evaluate(places: Places) -> None:
    write_sports(places.data_root / "sports")
    with pytest.raises(FileNotFoundError, match=r"weights\.safetensors"):
        run_row(ROWS["sports"](places), places, Conduct(trains=False, execute=Recorder(places)))


def test_missing_data_are_named(places: Places) -> None:
    with pytest.raises(FileNotFoundError, match="grocery"):
        run_row(ROWS["grocery"](places), places, Conduct(execute=lambda command: None))
