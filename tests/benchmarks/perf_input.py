"""The input of perf_analyzer: photos and titles of real products.

Random bytes would be refused by the preprocessing, and one input over and over would be cached.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from twinshelf.client.file_products import photo_bytes
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import PREPARED_OPTIONS, ProductFiles

PRODUCT_COUNT = 64
# The models of Triton, and the matching service as a model of the same protocol.
TENSORS = {
    "product_matcher": ("IMAGE", "TEXT"),
    "product_encoder": ("IMAGE", "TEXT"),
    "image_encoder": ("IMAGE",),
    "text_encoder": ("TEXT",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfOffer:
    """What one request holds.

    Attributes:
        image: File of the photo.
        title: Title.
    """

    image: bytes
    title: str


def read_offers(table: Path, offer_count: int = PRODUCT_COUNT) -> list[PerfOffer]:
    """Reads products that have a photo and a title.

    Args:
        table: A table of products.
        offer_count: How many at most, the first of the file.

    Raises:
        ProductFileError: If the table cannot be read.
        ValueError: If it holds none.
    """
    usable = (
        PerfOffer(image=photo_bytes(row), title=row.title)
        for row in ProductFiles([table], PREPARED_OPTIONS).rows()
        if isinstance(row, ProductRow) and row.main_photo is not None and row.title
    )
    offers = list(islice(usable, offer_count))
    if not offers:
        raise ValueError(f"{table} holds no product with a photo and a title")
    return offers


def write_input(path: Path, model: str, offers: Sequence[PerfOffer]) -> None:
    """Writes the input file of one model.

    Args:
        path: JSON file to write.
        model: Name of a model of `TENSORS`.
        offers: What is sent in turn.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"data": [_request(model, each) for each in offers]}), encoding="utf-8"
    )


def encode_bytes(value: bytes) -> str:
    """Returns a BYTES element as perf_analyzer wants it, in base64.

    Its length stands before it, as 4 bytes little-endian.
    """
    return base64.b64encode(struct.pack("<I", len(value)) + value).decode("ascii")


def _request(model: str, offer: PerfOffer) -> dict[str, Any]:
    values = {"IMAGE": offer.image, "TEXT": offer.title.encode()}
    return {
        name: {"content": {"b64": encode_bytes(values[name])}, "shape": [1]}
        for name in TENSORS[model]
    }
