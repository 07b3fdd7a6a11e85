"""Plots are written, also of results with gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.evaluation.drawn_products import draw_products
from twinshelf.training.evaluation.evaluation_config import EvaluationConfig
from twinshelf.training.evaluation.evaluation_plots import save_plots
from twinshelf.training.evaluation.evaluator import evaluate

SETTINGS = EvaluationConfig()


@pytest.mark.slow
@pytest.mark.parametrize("only_lone", [False, True])
def test_four_pictures_are_drawn(tmp_path: Path, only_lone: bool) -> None:
    queries, gallery = draw_products()
    if only_lone:
        queries = queries.rows(np.array([group == "g7" for group in queries.groups]))
    found = evaluate(queries, gallery, fusion_weight=0.5, config=SETTINGS)
    files = save_plots(found.result, found.pairs, tmp_path / "plots")
    names = ["precision_recall.png", "scores.png", "reliability.png", "recall_by_k.png"]
    assert [path.name for path in files] == names
    for path in files:
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 1
