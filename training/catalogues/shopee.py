r"""Shopee Price Match: postings of a marketplace, each with one photo and a title.

Source: Kaggle competition "Shopee - Price Match Guarantee" (2021),
https://www.kaggle.com/competitions/shopee-product-matching. Licence: not stated; the competition's
rules apply.
Layout: `train.csv` (posting_id, image, image_phash, title, label_group) beside `train_images/`.
Postings of one label_group show the same product. Titles are Indonesian and English; some spell
emoji as `\xf0\x9f\x94\xa5`.
"""

from __future__ import annotations

import re
from pathlib import Path

from twinshelf.client.files.rows import CellRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import (
    MatchingData,
    checked,
    filled_texts,
    read_rows,
    require_classes,
)
from twinshelf.training.catalogues.splits import split_by_group

TABLE = "train.csv"
_GROUP = "label_group"
_COLUMNS = ("posting_id", "image", "title", _GROUP)
_ESCAPED_BYTES = re.compile(r"(?:\\x[0-9a-f]{2})+")


def read_shopee(folder: Path, seed: int) -> MatchingData:
    """Reads the labelled postings and splits them by product, each asked for among all others.

    Raises:
        FileNotFoundError: If there is no `train.csv`.
        ValueError: If it lacks a column, or all its postings are of one group.
    """
    images = folder / "train_images"
    postings = read_rows(folder / TABLE, _COLUMNS, lambda row: _make_product(row, images))
    require_classes(folder / TABLE, _GROUP)
    return split_by_group(checked(enumerate(postings, 1), TABLE), seed, asks_all=True)


def _make_product(row: CellRow, images: Path) -> Product:
    cells = filled_texts(row, "posting_id", "image", _GROUP)
    return Product(
        product_id=cells["posting_id"],
        title=_decode(cells["title"]),
        images=(images / cells["image"],),
        group=cells[_GROUP],
    )


def _decode(title: str) -> str:
    """Turns bytes that are spelled out into the characters they encode."""
    return _ESCAPED_BYTES.sub(
        lambda match: bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", errors="ignore"),
        title,
    )
