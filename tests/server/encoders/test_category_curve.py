"""What margins of votes mean: as training says, and as the contract carries it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from tests.server.fake_encoder import CATEGORY_CURVE, contract_json
from twinshelf.server.encoders.category_curve import MARGIN_NEIGHBOURS, CategoryCurve
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import EncoderContractError
from twinshelf.training.categories.category_results import PRECISIONS, Choice
from twinshelf.training.categories.knn import MOST_NEIGHBOURS
from twinshelf.training.retrieval.calibration import Curve


def test_probabilities_and_thresholds_are_those_of_training() -> None:
    assert MARGIN_NEIGHBOURS == MOST_NEIGHBOURS
    choice = Choice(
        neighbour_count=3,
        curve=Curve(scores=(0.1, 0.3, 0.9), probabilities=(0.2, 0.5, 0.95)),
        thresholds=(0.5, 0.5, 0.6, 0.8, 0.9, 1.000001, 1.000001),
        tuned_f1=0.8,
        f1_by_k={},
    )
    served = CategoryCurve(
        neighbour_count=3,
        margins=choice.curve.scores,
        probabilities=choice.curve.probabilities,
        targets=PRECISIONS,
        thresholds=choice.thresholds,
    )
    for value in np.linspace(0, 1, 41).tolist():
        assert served.probability(value) == choice.curve.probability(value)
        assert served.threshold(value) == choice.threshold(value)


def test_a_curve_is_read_from_the_contract() -> None:
    values = asdict(CategoryCurve.from_values(CATEGORY_CURVE))
    assert {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()} == (
        CATEGORY_CURVE
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"neighbour_count": 0}, "neighbour_count must be 1 to 20, got 0"),
        ({"neighbour_count": 21}, "neighbour_count must be 1 to 20, got 21"),
        ({"margins": [0.5, 0.5]}, "a curve of votes must rise"),
        ({"probabilities": [0.5, 0.2]}, "a curve of votes must rise"),
        ({"margins": [], "probabilities": []}, "a curve of votes needs finite points"),
        ({"thresholds": [0.5, float("nan")]}, "a row of thresholds needs finite points"),
        ({"targets": [0.5]}, "cannot be read"),
    ],
)
def test_numbers_out_of_range_are_refused(changes: dict[str, Any], sentence: str) -> None:
    curves = {"text": CATEGORY_CURVE | changes}
    with pytest.raises(EncoderContractError, match=sentence):
        EncoderContract.from_json(contract_json(category_curves=curves))
