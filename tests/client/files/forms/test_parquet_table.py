"""Columns of Parquet that nobody uses cost nothing, whatever they hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.client.files.tables import read
from twinshelf.client.files.forms import parquet_table
from twinshelf.client.files.forms.parquet_table import open_parquet
from twinshelf.client.files.names.columns import read_column_mapping
from twinshelf.client.files.product_rows import ReadOptions
from twinshelf.client.files.rows import ProductFileError

GOODS = {"sku": pa.array(["a1", "a2"]), "title": pa.array(["Red mug", "Blue hat"])}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1_700_000_000_000_000_001, None], pa.timestamp("ns")),
        pa.array([10_000_000, 1], pa.date32()),
        pa.array([2**62, 1], pa.duration("us")),
        pa.array([[0.5, 0.25], None], pa.list_(pa.float32())),
    ],
)
def test_a_column_that_nobody_uses_may_hold_anything(tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({**GOODS, "seen": column}), tmp_path / "t.parquet")
    rows, bad, findings = read(tmp_path / "t.parquet")
    assert [(row.product_id, row.title) for row in rows] == [("a1", "Red mug"), ("a2", "Blue hat")]
    assert not bad + findings


def test_a_name_that_stands_twice_is_refused_only_where_it_is_used(tmp_path: Path) -> None:
    note = pa.array(["x", "y"])
    table = pa.Table.from_arrays([*GOODS.values(), note, note], [*GOODS, "note", "note"])
    pq.write_table(table, tmp_path / "t.parquet")
    assert [row.title for row in read(tmp_path / "t.parquet")[0]] == ["Red mug", "Blue hat"]
    with pytest.raises(ValueError, match="more than one column 'note'"):
        read(tmp_path / "t.parquet", ReadOptions(columns=read_column_mapping("brand=note")))


def test_vectors_are_no_photos_and_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = pa.array([[float(n) for n in range(500)]] * 2, pa.list_(pa.float64()))
    pq.write_table(pa.table({**GOODS, "image_embedding": vectors}), tmp_path / "t.parquet")
    monkeypatch.setattr(parquet_table, "MOST_UNPACKED_BYTES", 4000)
    rows, bad, findings = read(tmp_path / "t.parquet")
    assert [row.photos for row in rows] == [(), ()] and not bad + findings


def test_a_file_of_many_row_groups_takes_the_memory_of_one(tmp_path: Path) -> None:
    path, letters = tmp_path / "t.parquet", np.random.default_rng(0)
    texts = [letters.bytes(1000).hex() for _ in range(500)]
    with pq.ParquetWriter(path, pa.schema([("title", pa.string())])) as writer:
        for number in range(60):
            writer.write_table(pa.table({"title": [f"{number} {text}" for text in texts]}))
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in open_parquet(path).rows(["title"])]
    assert len(held) == 60 * 500
    assert max(held) < 8_000_000  # a group unpacks to one million


def test_a_price_in_a_list_is_no_vector(tmp_path: Path) -> None:
    pq.write_table(pa.table({**GOODS, "price": [[39.9], [54.0]]}), tmp_path / "t.parquet")
    assert [row.price for row in read(tmp_path / "t.parquet")[0]] == [39.9, 54.0]


def test_cells_that_stand_for_texts_that_are_not_there_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    titles = [("Red mug", "Blue hat", "Cap")[number % 3] for number in range(8)]
    pq.write_table(pa.table({"title": titles}), path, compression="none")
    places = bytes([0x24, 0x49])  # 0, 1, 2, 0, 1, 2, 0, 1, two bits each
    assert path.read_bytes().count(places) == 1
    path.write_bytes(path.read_bytes().replace(places, b"\xff\xff"))
    with pytest.raises(ProductFileError, match="is damaged: cells stand for texts"):
        read(path)
