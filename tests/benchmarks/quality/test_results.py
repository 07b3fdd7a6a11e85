"""Results and the table of them."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks.quality.results import Measurement, RowResult, markdown_table


def figure(**values: object) -> Measurement:
    given = {"task": "a | b", "data": "d", "reference": "r", "reach": 0.9, "value": 0.95, **values}
    return Measurement(**given)  # type: ignore[arg-type]


def result(*figures: Measurement) -> RowResult:
    return RowResult(
        row="sports",
        command="make it",
        steps=("one", "two"),
        measurements=figures,
        measured_at="2026-01-02T03:04:05+00:00",
        git_revision="0123456789abcdef",
        hardware="2 CPU cores",
        training_s=90.0,
    )


def test_json_gives_the_result_back() -> None:
    given = result(figure(low=0.9, high=1.0), figure(note="so"))
    assert RowResult.from_json(given.to_json()) == given


def test_nan_becomes_null_and_is_not_reached() -> None:
    given = result(figure(value=float("nan")))
    assert json.loads(given.to_json())["measurements"][0]["value"] is None
    back = RowResult.from_json(given.to_json())
    assert not back.measurements[0].is_reached
    assert "**–**" in markdown_table([back])


def test_another_object_is_refused() -> None:
    with pytest.raises(ValueError, match="not the result of a row"):
        RowResult.from_json('{"row": "sports"}')


@pytest.mark.parametrize(("value", "reached"), [(0.9, True), (0.91, True), (0.89, False)])
def test_a_reach_is_met_at_it_or_above_it(value: float, reached: bool) -> None:
    assert figure(value=value).is_reached is reached


def test_the_table_has_a_row_per_figure_and_each_note_once() -> None:
    text = markdown_table([result(figure(low=0.9, high=1.0, note="so"), figure(note="so"))])
    lines = text.splitlines()
    assert lines[2] == (
        "| a \\| b | d | r | 0.900 | **0.950 (0.900–1.000)** (1) | yes | `make it` |"
    )
    assert text.count("so\n") == 1
    assert "- sports: 2026-01-02, commit 0123456789, 2 CPU cores, trained in 1.5 minutes" in text
