"""Objects that stand in cells as JSON give the table their columns, where they hold the titles."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.client.files.tables import read, write
from twinshelf.client.files.forms.table import open_table

MUG = '{"title": "Mug", "brand": "Acme", "pricing": {"price": 5.5}, "sku": "S-1"}'
PAN = '{"title": "Pan", "brand": "Bolt", "pricing": {"price": 6}, "sku": "S-2"}'


def test_a_product_in_a_cell_is_read(tmp_path: Path) -> None:
    quoted = [text.replace('"', '""') for text in (MUG, PAN)]
    text = f'id,payload,at\n7,"{quoted[0]}",May\n8,"{quoted[1]}",May\n9,,May\n'
    pq.write_table(pa.table({"id": [7, 8, 9], "payload": [MUG, PAN, None]}), tmp_path / "t.parquet")
    metadata = write(tmp_path, text.replace("payload", "metadata"), "metadata.csv")
    for path in (write(tmp_path, text), tmp_path / "t.parquet", metadata):
        rows, bad, _ = read(path)
        found = [(row.product_id, row.title, row.brand, row.price) for row in rows]
        assert found == [("7", "Mug", "Acme", 5.5), ("8", "Pan", "Bolt", 6)]
        assert [row.row_number for row in bad] == [3]


def test_objects_beside_titles_and_of_other_things_are_left(tmp_path: Path) -> None:
    brand = '"{""name"": ""Acme""}"'
    for header in ("id,name,data", "id,Produktname XL,data", "id,text,brand_data"):
        columns = open_table(write(tmp_path, f"{header}\n1,Mug,{brand}\n")).columns
        assert list(columns) == header.split(",")
