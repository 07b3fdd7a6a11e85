"""Ozon E-CUP matching: pairs of marketplace products, as raw fields or as precomputed vectors.

Source: Ozon's competition E-CUP (2024), task of matching products. Licence: not stated.
Layout, Parquet: `train` (variantid1, variantid2, target), and of each variantid once `attributes`
(categories: JSON object of level to name; characteristic_attributes_mapping: JSON object of name to
list of values), `text_and_bert` (name, description, name_bert_64: embedding of the name) and
`resnet` (main_pic_embeddings_resnet_v1: list of one embedding; pic_embeddings_resnet_v1: list of
0-16 embeddings, null for none). Pictures themselves are not published.

The tables are too big for memory, so pairs are read in blocks, and each block looks its products up
in one pass over each table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from twinshelf.client.files.forms.table import open_table, read_cells
from twinshelf.client.files.rows import BadRow, CellRow
from twinshelf.client.files.values.cell_values import attributes_of, object_of, text_of, texts_of
from twinshelf.training.catalogues.lookup import FoundRows, Key, blocks, find_rows
from twinshelf.training.catalogues.product import Pair, PrecomputedProduct, Product, Vectors
from twinshelf.training.catalogues.reading import require_classes

PAIRS = "train.parquet"
ATTRIBUTES, TEXTS, PICTURES = "attributes.parquet", "text_and_bert.parquet", "resnet.parquet"
CATEGORY_SEPARATOR = " > "
BLOCK_PAIR_COUNT = 50_000  # pairs whose products are in memory at once
_ID = "variantid"
_PAIR = _LEFT, _RIGHT, _TARGET = "variantid1", "variantid2", "target"
_CATEGORIES, _ATTRIBUTES = "categories", "characteristic_attributes_mapping"
_NAME, _DESCRIPTION, _NAME_VECTOR = "name", "description", "name_bert_64"
_MAIN, _FURTHER = "main_pic_embeddings_resnet_v1", "pic_embeddings_resnet_v1"
T = TypeVar("T")


def read_ecup_pairs(folder: Path, pairs_name: str = PAIRS) -> Iterator[Pair[Product] | BadRow]:
    """Reads pairs of raw fields, lazily.

    Args:
        folder: Folder of the tables.
        pairs_name: Name of the table of pairs among them.

    Returns:
        The pairs in the file's order, or why one cannot be used.

    Raises:
        FileNotFoundError: If a table is missing.
        ValueError: If one lacks a column, or all targets are of one class.
    """
    tables = {TEXTS: (_NAME, _DESCRIPTION), ATTRIBUTES: (_CATEGORIES, _ATTRIBUTES)}
    return _read(folder, pairs_name, tables, _make_product)


def read_ecup_vectors(
    folder: Path, pairs_name: str = PAIRS
) -> Iterator[Pair[PrecomputedProduct] | BadRow]:
    """Reads pairs of precomputed vectors as `read_ecup_pairs` reads those of raw fields.

    A NaN among them makes the pair a bad row; the table `attributes` is not needed.
    """
    sizes: dict[str, int] = {}  # of vectors; all blocks must agree on them
    tables = {TEXTS: (_NAME_VECTOR,), PICTURES: (_MAIN, _FURTHER)}
    return _read(folder, pairs_name, tables, functools.partial(_make_precomputed, sizes))


def _read(
    folder: Path, pairs_name: str, tables: Mapping[str, Sequence[str]], make: Callable[..., T]
) -> Iterator[Pair[T] | BadRow]:
    """Reads pairs; `make` takes an identifier and its row in each of the tables."""
    pairs = folder / pairs_name
    for name, columns in tables.items():
        open_table(folder / name).require((_ID, *columns))
    open_table(pairs).require(_PAIR)
    require_classes(pairs, _TARGET)
    return _join(pairs, tables, make)


def _join(
    pairs: Path, tables: Mapping[str, Sequence[str]], make: Callable[..., T]
) -> Iterator[Pair[T] | BadRow]:
    for block in blocks(read_cells(pairs, _PAIR), BLOCK_PAIR_COUNT):
        ids: set[Key] = {
            (text_of(row.cells[name]),)
            for row in block
            if isinstance(row, CellRow)
            for name in (_LEFT, _RIGHT)
        }
        found = [
            find_rows(pairs.parent / name, [_ID], ids, cells) for name, cells in tables.items()
        ]
        product_of = functools.cache(functools.partial(_take, make, found))
        for row in block:
            yield row if isinstance(row, BadRow) else _join_row(row, product_of)


def _take(make: Callable[..., T], found: Sequence[FoundRows], product_id: str) -> T:
    return make(product_id, *(rows.take((product_id,)) for rows in found))


def _join_row(row: CellRow, product_of: Callable[[str], T]) -> Pair[T] | BadRow:
    left, right, target = (text_of(row.cells[name]) for name in _PAIR)
    for name, text in ((_LEFT, left), (_RIGHT, right)):
        if not text:
            return row.refuse(f"column {name!r} is empty")
    if left == right:
        return row.refuse(f"columns {_LEFT!r} and {_RIGHT!r} both name {left!r}")
    if target not in ("0", "1"):
        return row.refuse(f"column {_TARGET!r} must be 0 or 1, got {target!r}")
    try:
        return Pair(left=product_of(left), right=product_of(right), is_match=target == "1")
    except ValueError as error:
        return row.refuse(str(error))


def _make_product(product_id: str, texts: CellRow, attributes: CellRow) -> Product:
    return Product(
        product_id=product_id,
        title=text_of(texts.cells[_NAME]),
        description=text_of(texts.cells[_DESCRIPTION]),
        category=_join_categories(_read_object(attributes, _CATEGORIES)),
        attributes=attributes_of(_read_object(attributes, _ATTRIBUTES))[0],
    )


def _join_categories(levels: dict[str, object]) -> str:
    ordered = sorted(levels.items(), key=lambda level: (len(level[0]), level[0]))
    return CATEGORY_SEPARATOR.join(text for _, name in ordered for text in texts_of(name))


def _read_object(row: CellRow, column: str) -> dict[str, object]:
    try:
        return object_of(row.cells[column])
    except ValueError as error:
        raise ValueError(f"{_place(row, column)}: {error}") from None


def _make_precomputed(
    sizes: dict[str, int], product_id: str, texts: CellRow, pictures: CellRow
) -> PrecomputedProduct:
    names = _read_vectors(texts, _NAME_VECTOR, sizes, _NAME_VECTOR)
    main = _read_vectors(pictures, _MAIN, sizes, _MAIN)
    # Further pictures share the main picture's space, hence its size.
    further = _read_vectors(pictures, _FURTHER, sizes, _MAIN)
    if len(names) != 1:
        raise ValueError(f"{_place(texts, _NAME_VECTOR)}: is empty; expected one embedding")
    if len(main) > 1:
        raise ValueError(f"{_place(pictures, _MAIN)}: has {len(main)} embeddings; expected one")
    size = sizes.get(_MAIN, 0)
    return PrecomputedProduct(
        product_id=product_id,
        name_vector=names[0],
        main_pictures=np.array(main, np.float32).reshape(len(main), size),
        further_pictures=np.array(further, np.float32).reshape(len(further), size),
    )


def _read_vectors(
    row: CellRow, column: str, sizes: dict[str, int], space: str
) -> Sequence[Vectors]:
    """Returns the vectors of a cell; the first ever seen of a space sets its size."""
    cell = row.cells[column]
    if cell is None:
        return []
    vectors = [cell] if isinstance(cell, np.ndarray) else cell
    if not isinstance(vectors, list) or not all(isinstance(v, np.ndarray) for v in vectors):
        raise ValueError(f"{_place(row, column)}: must hold lists of numbers, got {cell!r:.40}")
    for vector in vectors:
        size = sizes.setdefault(space, len(vector))
        if len(vector) != size:
            raise ValueError(
                f"{_place(row, column)}: an embedding has {len(vector)} numbers; others have {size}"
            )
        if not np.isfinite(vector).all():
            raise ValueError(f"{_place(row, column)}: an embedding holds NaN or infinity")
    return vectors


def _place(row: CellRow, column: str) -> str:
    return f"{row.source}, row {row.row_number}, column {column!r}"
