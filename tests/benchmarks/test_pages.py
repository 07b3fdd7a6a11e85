"""The times of the pages at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import pages

pytestmark = pytest.mark.slow


def test_every_page_answers_and_is_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--folder", str(tmp_path / "catalogue"), "--output", str(tmp_path)]
    assert pages.main(["--products", "50", *arguments]) == 0
    tables = json.loads((tmp_path / "pages.json").read_text())["tables"]
    (rows,) = tables.values()
    assert {"search", "groups", "map of a sample", "health"} < {row["page"] for row in rows}

    assert pages.main(["--products", "60", *arguments]) == 1
    assert "holds 50 products, expected 60" in capsys.readouterr().out
