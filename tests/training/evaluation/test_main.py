"""The command line of the evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.evaluation.tiny_run import make_run
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table, write_table
from twinshelf.training.evaluation.__main__ import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.mark.slow
def test_tables_are_printed_and_saved(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(run), "--top-k", "3", "1", "--no-plots", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "NDCG@3" in out and "Acc@10" in out and "P@5" not in out
    assert (run / "evaluation.json").is_file()
    assert (run / "calibration.json").is_file()
    assert not (run / "plots").exists()


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--top-k", "one"], "--top-k must be int, got one"),
        (["--top-k", "0"], "--top-k must be rising numbers of 1 or more, got (0,)"),
        (["--match-prior", "0"], "--match-prior must be above 0 and at most 1, got 0.0"),
        (["--columns=nothing"], "--columns must look like title=name,images=photo, got 'nothing'"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--run", "x", *options])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {sentence}; --help lists the options\n"
