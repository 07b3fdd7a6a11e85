"""The comparison of graphs by weights, at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import query_weights

pytestmark = pytest.mark.slow


def test_unit_halves_find_the_best_at_every_weight(tmp_path: Path) -> None:
    assert (
        query_weights.main(["--products", "2000", "--queries", "50", "--output", str(tmp_path)])
        == 0
    )
    tables = json.loads((tmp_path / "query_weights.json").read_text())["tables"]
    (rows,) = tables.values()
    assert [row["image weight"] for row in rows] == list(query_weights.IMAGE_WEIGHTS)
    assert all(row["unit halves"] >= query_weights.LEAST_RECALL for row in rows)
