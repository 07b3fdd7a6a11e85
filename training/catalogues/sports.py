"""Cards of sports shops: Russian titles, categories, prices and characteristics.

Source and licence: not stated; for local evaluation only.
Layout: the query file `company_data.csv`, cards of one shop, and, where it is at hand, one more CSV
file, the database: cards of other shops. Both have the columns title, price, cat_1, cat_2, cat_3,
caracteristics, img_ref, target and dealer. `target` is the class of a card; in the query file
`cat_1` and `cat_2` are the shop's own categories and `cat_3` is the brand. `img_ref` is a path
below the folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from twinshelf.client.files.rows import CellRow
from twinshelf.client.files.values.prices import price_of
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
from twinshelf.training.catalogues.splits import split_within_groups

QUERIES = "company_data.csv"
HELD_OUT_SHARE = 0.5
CATEGORY_SEPARATOR = " > "
_TARGET = "target"
_COLUMNS = (
    "title", "price", "cat_1", "cat_2", "cat_3", "caracteristics", "img_ref", _TARGET, "dealer",
)  # fmt: skip


def read_sports(folder: Path, seed: int) -> MatchingData:
    """Reads the cards; half of the query file's cards of each class are held out.

    A match here is a card of the same class: `target` becomes the group. Without a database the
    held-out cards are searched among themselves, each left out of its own search. With one, its
    cards are the gallery, and they are learnt from as well. The field `category` nearly names the
    class: embed the title alone to measure what titles say.

    Raises:
        FileNotFoundError: If there is no query file.
        ValueError: If a file lacks a column, all targets are of one class, or there is more than
            one file that could be the database.
    """
    path, database = folder / QUERIES, find_database(folder)
    rows = read_cards(path)
    require_classes(path, _TARGET)
    cards, bad_rows = separate(checked(enumerate(rows, 1), QUERIES))
    train, queries = split_within_groups(cards, HELD_OUT_SHARE, seed)
    if database is None:
        return MatchingData(train=train, queries=queries, gallery=queries, bad_rows=bad_rows)
    gallery, bad_gallery = separate(checked(enumerate(read_cards(database), 1), database.name))
    return MatchingData(
        train=(*train, *gallery),
        queries=queries,
        gallery=gallery,
        bad_rows=(*bad_rows, *bad_gallery),
    )


def find_database(folder: Path) -> Path | None:
    """Returns the CSV file beside the query file; None when there is none.

    Raises:
        ValueError: If there are several.
    """
    others = sorted(path for path in folder.glob("*.csv") if path.name != QUERIES)
    if len(others) > 1:
        names = ", ".join(path.name for path in others)
        raise ValueError(f"{folder} must hold one database file beside {QUERIES}, got {names}")
    return others[0] if others else None


def read_cards(path: Path) -> Iterator[Row]:
    """Reads the cards of a file, lazily; raises as `read_rows`. A photo not there is left out."""
    return read_rows(path, _COLUMNS, lambda row: _make_product(row, path))


def _make_product(row: CellRow, path: Path) -> Product:
    cells = filled_texts(row, "title", _TARGET)
    reference = cells["img_ref"]
    photo = path.parent / reference
    # The photo's path without its ending is the only identifier that a card has.
    name = str(PurePosixPath(reference).with_suffix("")) if reference else ""
    return Product(
        product_id=name or f"{path.stem}-{row.row_number}",
        title=cells["title"],
        description=cells["caracteristics"],
        category=CATEGORY_SEPARATOR.join(filter(None, (cells["cat_1"], cells["cat_2"]))),
        brand=cells["cat_3"],
        seller=cells["dealer"],
        price=_price(cells["price"]),
        images=(photo,) if photo.is_file() else (),
        group=cells[_TARGET],
    )


def _price(text: str) -> float | None:
    """Reads a price; one that cannot be read is none, because it is never embedded."""
    try:
        return price_of(text)
    except ValueError:
        return None
