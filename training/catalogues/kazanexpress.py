"""KazanExpress: products of a marketplace whose category is to be predicted.

Source: the test task of the marketplace KazanExpress. Licence: not stated.
Layout: `train.parquet` (product_id, category_id, category_name, sale, shop_id, shop_title, rating,
text_fields) and `test.parquet` (the same without the category), photos in
`images/{train,test}/<product_id>.jpg`. `text_fields` is a JSON object: `title`, `description`
(HTML), `attributes` (a list of statements), and `custom_characteristics`,
`defined_characteristics` and `filters` (each name to list of values). The answer is
`result.parquet` (product_id, predicted_category_id). Sale and rating say nothing of which product
it is; they are not read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from twinshelf.client.files.forms.table import read_cells
from twinshelf.client.files.rows import BadRow, CellRow
from twinshelf.client.files.values.cell_values import attributes_of, object_of, text_of, texts_of
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import (
    MatchingData,
    Row,
    checked,
    filled_texts,
    read_rows,
    require_classes,
    separate,
)
from twinshelf.training.catalogues.splits import HELD_OUT_SHARE, split_within_groups
from twinshelf.training.files import atomic_write

Part = Literal["train", "test"]
RESULT = "result.parquet"
_COLUMNS = ("product_id", "shop_title", "text_fields")
_ID, _NAME = "category_id", "category_name"
# Where two of them name one property, the later one is kept.
_CHARACTERISTICS = ("custom_characteristics", "defined_characteristics", "filters")

logger = logging.getLogger(__name__)


def read_kazanexpress(folder: Path, seed: int) -> MatchingData:
    """Reads the labelled products; a fifth of each category is held out.

    Two offers of one product are not labelled here: the category is the group, and the gallery is
    what is learnt from, so that a product is found when its neighbours are of its category. The
    field `category` gives the answer away: leave it out of the embedded text fields.

    Raises:
        FileNotFoundError: If there is no `train.parquet`.
        ValueError: If it lacks a column or all its rows are of one category.
    """
    path = folder / "train.parquet"
    rows = read_products(folder)
    require_classes(path, _ID)
    products, bad_rows = separate(checked(enumerate(rows, 1), path.name))
    train, queries = split_within_groups(products, HELD_OUT_SHARE, seed)
    return MatchingData(train=train, queries=queries, gallery=train, bad_rows=bad_rows)


def read_products(folder: Path, part: Part = "train") -> Iterator[Row]:
    """Reads products, lazily, without opening photos.

    Where the folder `images/<part>` is missing altogether, products come without photos.

    Args:
        folder: Folder of the two tables.
        part: Which of them; the products of "test" have neither category nor group.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If it lacks a column.
    """
    images: Path | None = folder / "images" / part
    if images is not None and not images.is_dir():
        logger.warning("no folder %s: products are read without photos", images)
        images = None
    columns = (*_COLUMNS, _ID, _NAME) if part == "train" else _COLUMNS
    return read_rows(folder / f"{part}.parquet", columns, lambda row: _make_product(row, images))


def read_category_ids(folder: Path) -> dict[str, int]:
    """Returns the number of each category by its name, from `train.parquet`.

    Raises:
        FileNotFoundError: If there is no `train.parquet`.
        ValueError: If it lacks a column, a number is none, or one name has two.
    """
    path = folder / "train.parquet"
    ids: dict[str, int] = {}
    for row in read_cells(path, (_ID, _NAME)):
        if isinstance(row, BadRow):
            continue
        name, text = text_of(row.cells[_NAME]), text_of(row.cells[_ID])
        place = f"{path}, row {row.row_number}, column {_ID!r}"
        if not text.isdigit():
            raise ValueError(f"{place}: must be a number, got {text!r}")
        if ids.setdefault(name, int(text)) != int(text):
            raise ValueError(f"{place}: {name!r} is {ids[name]} in an earlier row, here {text}")
    return ids


def write_result(path: Path, product_ids: Sequence[int], category_ids: Sequence[int]) -> None:
    """Writes the answer; the file appears whole or not at all.

    Args:
        path: Target, by custom named `result.parquet`; its folder is made.
        product_ids: Products of `test.parquet` (N).
        category_ids: The category that each is taken for (N).

    Raises:
        ValueError: If a product is predicted twice.
    """
    import pandas as pd  # too slow for those who only ask for --help

    answer = pd.DataFrame({"product_id": product_ids, "predicted_category_id": category_ids})
    twice = answer.product_id[answer.product_id.duplicated()]
    if len(twice):
        raise ValueError(f"product_id {twice.iloc[0]} is predicted twice")
    with atomic_write(path) as partial:
        answer.astype("int64").to_parquet(partial, index=False)


def _make_product(row: CellRow, images: Path | None) -> Product:
    cells = filled_texts(row, *(name for name in (_ID,) if name in row.cells))
    try:
        fields = object_of(row.cells["text_fields"])
        statements = (fields.get("description"), *texts_of(fields.get("attributes")))
        attributes = _read_characteristics(fields)
    except ValueError as error:
        raise ValueError(f"column 'text_fields': {error}") from None
    return Product(
        product_id=cells["product_id"],
        title=text_of(fields.get("title")),
        description="\n".join(filter(None, map(text_of, statements))),
        category=cells.get(_NAME, ""),
        seller=cells["shop_title"],
        attributes=attributes,
        images=(images / f"{cells['product_id']}.jpg",) if images is not None else (),
        group=cells.get(_ID, ""),
    )


def _read_characteristics(fields: Mapping[str, object]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for name in _CHARACTERISTICS:
        try:
            attributes |= attributes_of(object_of(fields.get(name)))[0]
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    return attributes
