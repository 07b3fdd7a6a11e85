"""The comparison of filtered searches at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import filtered_search
from tests.benchmarks.filtered_search import SHARES

pytestmark = pytest.mark.slow
ARGUMENTS = ("--products", "3000", "--queries", "5")


def test_every_filter_is_measured_and_finds_the_best(tmp_path: Path) -> None:
    assert filtered_search.main([*ARGUMENTS, "--output", str(tmp_path)]) == 0
    tables = json.loads((tmp_path / "filtered_search.json").read_text())["tables"]
    assert len(tables["3,000 products"]) == 2 * len(SHARES)
