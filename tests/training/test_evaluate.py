"""The command line of the evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.evaluation.tiny_run import make_run
from training.catalogues.table import read_table, write_table
from training.evaluate import main
from training.product import Product


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


def test_judged_searches_are_tracked_beside_the_evaluation(tmp_path: Path) -> None:
    run = make_run(tmp_path, "tensorboard")
    table, judgements = tmp_path / "data" / "queries.parquet", tmp_path / "esci.csv"
    offers = [row for row in read_table(table) if isinstance(row, Product)]
    write_table(table, [replace(row, product_id=f"query : {row.title}") for row in offers])
    lines = [f"{row.title},{row.title} box,E\n{row.title},jar,I\n" for row in offers[:3]]
    judgements.write_text("query,product,esci_label\n" + "".join(lines))
    options = ["--run", str(run), "--judgements", str(judgements), "--no-plots", "--device", "cpu"]
    assert main(options) == 0
    events = EventAccumulator(str(run / "logs"))
    events.Reload()
    for name, count in {"evaluation/query_count": 20, "judged/query_count": 3}.items():
        assert [event.value for event in events.Scalars(name)] == [count]


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
