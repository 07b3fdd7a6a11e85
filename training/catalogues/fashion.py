"""A fashion shop's product photos: titles, article types and colours, without product groups.

Layout: `styles.csv` (id, title, gender, masterCategory, subCategory, articleType, baseColour,
season, year, usage, image) beside `images/`. The licence is not stated at the source: for local
evaluation only.
"""

from __future__ import annotations

from pathlib import Path

from twinshelf.client.files.rows import CellRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import MatchingData, checked, filled_texts, read_rows
from twinshelf.training.catalogues.splits import split_by_group
from twinshelf.training.preprocessing.texts import clean_text

TABLE = "styles.csv"
_ATTRIBUTES = ("gender", "season", "usage")
_COLUMNS = ("id", "title", "articleType", "baseColour", "image", *_ATTRIBUTES)


def read_fashion(folder: Path, seed: int) -> MatchingData:
    """Reads the shop's products and splits them by look-alike group.

    No second offer of a product is known here. Products of equal title, article type and colour
    are taken for one group: often they are one product in another print or season, so recall on
    this set measures finding products that a shopper could not tell apart by name, not identity.
    Categories (`articleType`) are true labels.

    Raises:
        FileNotFoundError: If there is no `styles.csv`.
        ValueError: If it lacks a column.
    """
    rows = read_rows(folder / TABLE, _COLUMNS, lambda row: _make_product(row, folder))
    return split_by_group(checked(enumerate(rows, 1), TABLE), seed)


def _make_product(row: CellRow, folder: Path) -> Product:
    cells = filled_texts(row, "id", "title", "image")
    key = (clean_text(cells["title"]), cells["articleType"], cells["baseColour"])
    attributes = {"colour": cells["baseColour"]} | {name: cells[name] for name in _ATTRIBUTES}
    return Product(
        product_id=cells["id"],
        title=cells["title"],
        category=cells["articleType"],
        attributes={name: value for name, value in attributes.items() if value},
        images=(folder / cells["image"],),
        group=" | ".join(key).casefold(),
    )
