"""Tables say what the results hold."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from tests.training.evaluation.drawn_products import draw_products, without
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.evaluation_config import EvaluationConfig
from twinshelf.training.evaluation.evaluation_tables import result_tables
from twinshelf.training.evaluation.evaluator import evaluate

SETTINGS = EvaluationConfig()


def printed(queries: EmbeddedProducts, gallery: EmbeddedProducts) -> str:
    result = evaluate(
        queries, gallery, fusion_weight=0.5, config=SETTINGS, notes=["3 rows [were] left out"]
    ).result
    out = io.StringIO()
    Console(file=out, width=140).print(result_tables(result))
    return out.getvalue()


@pytest.mark.slow
def test_tables_hold_metrics_counts_and_notes() -> None:
    text = printed(*draw_products())
    for wanted in (
        "NDCG@5",
        "MAP",
        "without",
        "PR-AUC",
        "ECE of all",
        "AUROC",
        "c2",
        "Note: 3",
    ):
        assert wanted in text
    assert "[were]" in text


def test_missing_figures_are_dashes() -> None:
    queries, gallery = draw_products()
    lone = queries.rows(np.flatnonzero(np.array(queries.groups) == "g7"))
    text = printed(without(lone, "image", slice(1, None)), gallery)
    assert "–" in text
    assert "no calibration for text" in text
