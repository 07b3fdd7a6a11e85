"""Amazon ESCI: shoppers' queries, products, and how well each answers.

Source: Reddy et al., "Shopping Queries Dataset: A Large-Scale ESCI Benchmark for Improving Product
Search", arXiv 2206.06588; https://github.com/amazon-science/esci-data, Apache-2.0.
Layout, Parquet or CSV: examples (query, product_id, product_locale, esci_label, split and others)
and products (product_id, product_title, product_description, product_bullet_point, product_brand,
product_color, product_locale). One file may hold both, joined; the smallest form is `query`,
`product` (a title) and `esci_label`. A label is exact, substitute, complement or irrelevant, or its
first letter. The older release calls the examples' locale `query_locale`.
Files of a folder, as published: `shopping_queries_dataset_examples.parquet` with
`shopping_queries_dataset_products.parquet`; or one joined `esci.parquet` or `esci.csv`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from twinshelf.client.files.forms.table import open_table, read_cells
from twinshelf.client.files.rows import BadRow, CellRow
from twinshelf.client.files.values.cell_values import text_of
from twinshelf.training.catalogues.lookup import FoundRows, Key, blocks, find_rows
from twinshelf.training.catalogues.product import Product, QueryProduct, Relevance
from twinshelf.training.catalogues.reading import MatchingData, require_classes
from twinshelf.training.catalogues.searches import split_searches
from twinshelf.training.preprocessing.texts import clean_text

EXAMPLES = "shopping_queries_dataset_examples.parquet"
PRODUCTS = "shopping_queries_dataset_products.parquet"
JOINED = ("esci.parquet", "esci.csv")
LOCALES = ("us", "es", "jp")
BLOCK_ROW_COUNT = 100_000  # examples whose products are in memory at once
_TEST = "test"
_QUERY, _LABEL, _SPLIT = "query", "esci_label", "split"
_ID, _TITLE, _PLAIN_TITLE = "product_id", "product_title", "product"
_LOCALE, _OLD_LOCALE = "product_locale", "query_locale"
_DETAILS = ("product_description", "product_bullet_point", "product_brand", "product_color")
_LABELS = {name: label for label in Relevance for name in (label.value, label.value[0])}


def read_esci_tables(folder: Path, seed: int, locale: str = "") -> MatchingData:
    """Reads the judged searches and makes a query and its exact products one group.

    `training.catalogues.searches` tells how, and what becomes of the other judgements.

    Args:
        folder: Folder of the files.
        seed: Seed of the split, where the data set does not say which queries are held out.
        locale: "us", "es" or "jp"; empty reads all.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file lacks a column, all labels are of one class, or no search can be
            learnt from.
    """
    return split_searches(read_esci(folder, locale), seed)


def read_esci(place: Path, only_locale: str = "") -> Iterator[QueryProduct | BadRow]:
    """Reads judged pairs of query and product, lazily.

    The locale stands behind the product's identifier, because countries share these. Without
    identifiers, products of one title are one.

    Args:
        place: Folder of the files, by their published names, or one joined file.
        only_locale: "us", "es" or "jp"; empty reads all.

    Returns:
        The chosen pairs in the file's order, or why one cannot be used.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If one lacks a column, or all labels are of one class.
    """
    examples, products = _find_files(place)
    table = open_table(examples)
    present = table.columns
    locale = _OLD_LOCALE if _OLD_LOCALE in present else _LOCALE
    required = [_QUERY, _LABEL]
    if products is None:
        required += [locale] if only_locale else []
        required += [_PLAIN_TITLE if _PLAIN_TITLE in present else _TITLE]
    else:
        required += [_ID, locale]
    table.require(required)
    require_classes(examples, _LABEL)
    further = (_ID, locale, _SPLIT, *_DETAILS)
    optional = [name for name in further if name in present and name not in required]
    rows = (
        row
        for row in read_cells(examples, [*required, *optional])
        if isinstance(row, BadRow) or not only_locale or text_of(row.cells[locale]) == only_locale
    )
    if products is None:
        return _judge_all(rows, locale)
    known = open_table(products)
    known.require((_ID, _LOCALE, _TITLE))
    details = [_TITLE, *(name for name in _DETAILS if name in known.columns)]
    return _judge_all(rows, locale, products, details)


def _find_files(place: Path) -> tuple[Path, Path | None]:
    """Returns the file of the judgements, and that of the products where the first lacks titles."""
    if place.is_file():
        return place, None
    if (place / EXAMPLES).is_file():
        if not (place / PRODUCTS).is_file():
            raise FileNotFoundError(f"{place} holds {EXAMPLES}, but no {PRODUCTS}")
        return place / EXAMPLES, place / PRODUCTS
    for name in JOINED:
        if (place / name).is_file():
            return place / name, None
    raise FileNotFoundError(
        f"{place} holds neither {EXAMPLES} with {PRODUCTS}, nor one joined {' or '.join(JOINED)}"
    )


def _judge_all(
    rows: Iterator[CellRow | BadRow],
    locale: str,
    products: Path | None = None,
    details: Sequence[str] = (),
) -> Iterator[QueryProduct | BadRow]:
    for block in blocks(rows, BLOCK_ROW_COUNT):
        found = None
        if products is not None:
            keys = {_key(row, locale) for row in block if isinstance(row, CellRow)}
            found = find_rows(products, [_ID, _LOCALE], keys, details)
        for row in block:
            yield row if isinstance(row, BadRow) else _judge(row, _key(row, locale), found)


def _key(row: CellRow, locale: str) -> Key:
    return text_of(row.cells.get(_ID)), text_of(row.cells.get(locale))


def _judge(row: CellRow, key: Key, found: FoundRows | None) -> QueryProduct | BadRow:
    """Reads a judgement; its product stands among the found rows, without these in the same row."""
    label = _LABELS.get(text_of(row.cells[_LABEL]).lower())
    if label is None:
        expected = ", ".join(Relevance)
        return row.refuse(
            f"column {_LABEL!r} must be {expected} or the first letter, "
            f"got {text_of(row.cells[_LABEL])[:40]!r}"
        )
    query = text_of(row.cells[_QUERY])
    if not clean_text(query):
        return row.refuse(f"column {_QUERY!r} is empty")
    try:
        return QueryProduct(
            query=query,
            product=_make_product(found.take(key) if found else row, key),
            label=label,
            locale=key[1],
            is_held_out=text_of(row.cells.get(_SPLIT)) == _TEST,
        )
    except ValueError as error:
        return row.refuse(str(error))


def _make_product(row: CellRow, key: Key) -> Product:
    column = _TITLE if _TITLE in row.cells else _PLAIN_TITLE
    title = text_of(row.cells[column])
    if not clean_text(title):
        raise ValueError(f"{row.source}, row {row.row_number}, column {column!r}: is empty")
    description, points, brand, colour = (text_of(row.cells.get(name)) for name in _DETAILS)
    identifier, locale = key
    return Product(
        product_id="-".join(filter(None, (identifier or title.casefold(), locale))),
        title=title,
        description="\n".join(filter(None, (points, description))),
        brand=brand,
        attributes={"color": colour} if colour else {},
    )
