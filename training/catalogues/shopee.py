r"""Shopee Price Match: postings of a marketplace, each with one photo and a title.

Source: Kaggle competition "Shopee - Price Match Guarantee" (2021),
https://www.kaggle.com/competitions/shopee-product-matching. Licence: not stated; the competition's
rules apply.
Layout: `train.csv` (posting_id, image, image_phash, title, label_group) beside `train_images/`,
`test.csv` (the same without label_group) beside `test_images/`. Postings of one label_group show
the same product. Titles are Indonesian and English; some spell emoji as `\xf0\x9f\x94\xa5`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from training.catalogues.cells import CellRow, read_cells, read_columns, require_columns
from training.catalogues.labels import require_shared_groups, require_two_classes
from training.catalogues.reading import MatchingData, Row, checked, split_by_group
from training.preprocessing.settings import PreprocessingSettings
from training.product import BadRow, Product

Part = Literal["train", "test"]
_COLUMNS = ("posting_id", "image", "title")
_GROUP = "label_group"
_ESCAPED_BYTES = re.compile(r"(?:\\x[0-9a-f]{2})+")


def read_shopee(folder: Path, settings: PreprocessingSettings, seed: int) -> MatchingData:
    """Reads the labelled postings and splits them by product.

    Args:
        folder: Folder of `train.csv`.
        settings: Settings of the later preprocessing.
        seed: Seed of the split.

    Raises:
        FileNotFoundError: If there is no `train.csv`.
        ValueError: If it lacks a column, or its groups are one, or all of one posting.
    """
    path = Path(folder) / "train.csv"
    postings = read_postings(folder)
    require_two_classes(path, _GROUP)
    require_shared_groups(path, _GROUP)
    return split_by_group(checked(postings, settings, source=path.name), seed)


def read_postings(folder: Path, part: Part = "train") -> Iterator[Row]:
    """Reads postings, lazily, without opening photos.

    Args:
        folder: Folder of the two tables.
        part: Which of them.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If it lacks a column.
    """
    path = Path(folder) / f"{part}.csv"
    columns = (*_COLUMNS, _GROUP) if part == "train" else _COLUMNS
    require_columns(path, read_columns(path), columns)
    images = path.parent / f"{part}_images"
    rows = read_cells(path, columns)
    return (row if isinstance(row, BadRow) else _parse_posting(row, images) for row in rows)


def _parse_posting(row: CellRow, images: Path) -> Row:
    cells = {name: str(value).strip() for name, value in row.cells.items()}
    for name, text in cells.items():
        if not text and name != "title":
            return row.refuse(f"column {name!r} is empty")
    return Product(
        product_id=cells["posting_id"],
        title=_decode(cells["title"]),
        images=(images / cells["image"],),
        group=cells.get(_GROUP, ""),
    )


def _decode(title: str) -> str:
    """Turns bytes that are spelled out into the characters they encode."""
    return _ESCAPED_BYTES.sub(
        lambda match: bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", errors="ignore"),
        title,
    )
