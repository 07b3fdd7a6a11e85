"""The benchmark of bulk embedding."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.benchmarks.bulk import main
from tests.model_repository.tiny_repository import publish_tiny_version


@pytest.mark.slow
def test_embed_is_compared_with_the_loop_row_by_row(
    tmp_path: Path,
) -> None:
    publish_tiny_version(tmp_path / "models", version=1)
    titles = [f"red cup {number}" for number in range(100)]
    pq.write_table(pa.table({"product_id": titles, "title": titles}), tmp_path / "some.parquet")
    given = ["--products", str(tmp_path / "some.parquet"), "--repository", str(tmp_path / "models")]
    given += ["--count", "150", "--workers", "1", "--output", str(tmp_path)]
    assert main(given) == 0
    (table,) = json.loads((tmp_path / "bulk.json").read_text())["tables"].values()
    assert [row["who"] for row in table] == ["plain loop", "embed, 1"]
