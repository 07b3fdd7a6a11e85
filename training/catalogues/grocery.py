"""The Grocery Store data set: phone photos of 81 products, and a catalogue of iconic images.

Source: Klasson et al., "A Hierarchical Grocery Store Image Dataset with Visual and Semantic
Labels", WACV 2019, arXiv 1901.00711; https://github.com/marcusklasson/GroceryStoreDataset, MIT.
Layout: `classes.csv` (class name, class id, coarse class name, coarse class id, iconic image path,
description path), `train.txt` and `val.txt` (photo, class id, coarse class id in each line).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from twinshelf.client.files.rows import BadRow, CellRow
from twinshelf.client.files.values.cell_values import text_of
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import (
    MatchingData,
    Row,
    checked,
    filled_texts,
    read_rows,
    separate,
)

TABLE, TRAIN, QUERIES = "classes.csv", "train.txt", "val.txt"
_NAME = "Class Name (str)"
_ID = "Class ID (int)"
_COARSE_NAME = "Coarse Class Name (str)"
_IMAGE = "Iconic Image Path (str)"
_DESCRIPTION = "Product Description Path (str)"
_COLUMNS = (_NAME, _ID, _COARSE_NAME, _IMAGE, _DESCRIPTION)


def read_grocery(folder: Path, seed: int) -> MatchingData:
    """Reads the data set's folder `dataset`, with its own split.

    The catalogue is the gallery; the validation photos are the queries. Training takes the training
    photos and the catalogue: each query shows a product that is trained on, in a new photo. Photos
    have no text: their class name would give the answer away.

    Raises:
        FileNotFoundError: If one of the three lists is missing.
        ValueError: If `classes.csv` lacks a column.
    """
    by_id: dict[str, Product] = {}

    def make(row: CellRow) -> Product:
        """Keeps each product by the number that the photos name."""
        return by_id.setdefault(text_of(row.cells[_ID]), _make_product(row, folder))

    del seed  # the data set has a split of its own
    catalogue = list(read_rows(folder / TABLE, _COLUMNS, make))
    gallery, bad_products = separate(checked(enumerate(catalogue, 1), TABLE))
    train, bad_train = separate(checked(_read_photos(folder, TRAIN, by_id), TRAIN))
    queries, bad_queries = separate(checked(_read_photos(folder, QUERIES, by_id), QUERIES))
    return MatchingData(
        train=(*train, *gallery),
        queries=queries,
        gallery=gallery,
        bad_rows=(*bad_products, *bad_train, *bad_queries),
    )


def _make_product(row: CellRow, folder: Path) -> Product:
    cells = filled_texts(row, _NAME)
    description = _inside(folder, cells[_DESCRIPTION])
    try:
        text = description.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"description {description} is missing or not UTF-8") from None
    return Product(
        product_id=cells[_NAME],
        title=cells[_NAME].replace("-", " "),
        description=text.strip(),
        category=cells[_COARSE_NAME].replace("-", " "),
        images=(_inside(folder, cells[_IMAGE]),),
        group=cells[_NAME],
    )


def _read_photos(folder: Path, name: str, by_id: dict[str, Product]) -> Iterator[tuple[int, Row]]:
    with (folder / name).open(encoding="utf-8", errors="replace") as lines:
        for row_number, line in enumerate(lines, start=1):
            photo, *ids = (part.strip() for part in line.split(","))
            product = by_id.get(ids[0]) if len(ids) == 2 else None
            if len(ids) != 2 or not photo:
                reason = f"must be: photo, class id, coarse class id; got {line.strip()[:80]!r}"
            elif product is None:
                reason = f"class id {ids[0]!r} stands in no readable row of classes.csv"
            else:
                images, group = (_inside(folder, photo),), product.group
                name_of_photo = photo.rsplit(".", 1)[0]
                yield row_number, Product(product_id=name_of_photo, images=images, group=group)
                continue
            yield row_number, BadRow(source=name, row_number=row_number, reason=reason)


def _inside(folder: Path, name: str) -> Path:
    # The lists write paths from the folder's own root, some with a leading slash.
    return folder / name.lstrip("/")
