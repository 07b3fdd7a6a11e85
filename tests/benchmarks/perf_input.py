"""The input of perf_analyzer: photos and titles of real products.

Random bytes would be refused by the preprocessing, and one input over and over would be cached.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from twinshelf.client.file_products import photo_bytes
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import PREPARED_OPTIONS, ProductFiles

PRODUCT_COUNT = 64
TENSORS = {
    "product_encoder": ("IMAGE", "TEXT"),
    "image_encoder": ("IMAGE",),
    "text_encoder": ("TEXT",),
}


def read_products(table: Path, product_count: int = PRODUCT_COUNT) -> list[ProductRow]:
    """Reads products that have a photo and a title.

    Args:
        table: A table of products.
        product_count: How many at most, the first of the file.

    Raises:
        ProductFileError: If the table cannot be read.
        ValueError: If it holds none.
    """
    usable = (
        row
        for row in ProductFiles([table], PREPARED_OPTIONS).rows()
        if isinstance(row, ProductRow) and row.main_photo is not None and row.title
    )
    rows = list(islice(usable, product_count))
    if not rows:
        raise ValueError(f"{table} holds no product with a photo and a title")
    return rows


def write_input(path: Path, model: str, rows: Sequence[ProductRow]) -> None:
    """Writes the input file of one model.

    Args:
        path: JSON file to write.
        model: Name of an encoder.
        rows: Products with photo and title.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data": [_request(model, row) for row in rows]}), encoding="utf-8")


def encode_bytes(value: bytes) -> str:
    """Returns a BYTES element as perf_analyzer wants it, in base64.

    Its length stands before it, as 4 bytes little-endian.
    """
    return base64.b64encode(struct.pack("<I", len(value)) + value).decode("ascii")


def _request(model: str, row: ProductRow) -> dict[str, Any]:
    values = {"IMAGE": photo_bytes(row), "TEXT": row.title.encode()}
    return {
        name: {"content": {"b64": encode_bytes(values[name])}, "shape": [1]}
        for name in TENSORS[model]
    }
