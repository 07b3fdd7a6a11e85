"""Tables of products: our own, written and read exactly, and everybody else's.

Our own is Parquet with the columns of `COLUMNS`; `attributes` is a JSON object and `images` a JSON
list of paths, relative to the table's folder or absolute. Any other table is read as
`twinshelf.client.files` reads it, whatever its form and names.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from twinshelf.client.files.forms.parquet_table import ParquetTable
from twinshelf.client.files.forms.table import Table, open_table
from twinshelf.client.files.product_row import Photo, ProductRow
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.lookup import blocks
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import Row
from twinshelf.training.files import atomic_write

COLUMNS = tuple(field.name for field in fields(Product))
_TEXT_COLUMNS = ("title", "description", "category", "brand", "seller", "group")
SCHEMA = pa.schema([(name, pa.float64() if name == "price" else pa.string()) for name in COLUMNS])
ROWS_AT_ONCE = 2048  # as Python's objects in memory
_BLOCKS_OF_GROUP = 8  # written together: small ones are packed less

logger = logging.getLogger(__name__)


def read_table(
    path: Path,
    columns: Mapping[str, Sequence[str]] | None = None,
    notes: list[str] | None = None,
    image_root: Path | None = None,
) -> Iterator[Row]:
    """Reads products from a table, lazily.

    Args:
        path: Our own table, or any other.
        columns: Our field to the file's columns, where they have other names than usual. A table
            of our own that lacks them is read by our own names: a search may compare a foreign
            table with one of ours.
        notes: Filled, once all is read, with what could not be used though its rows could, one
            sentence each; the log has them too.
        image_root: Folder in which photos may lie, besides that of the table.

    Returns:
        The rows in the file's order; each a product, or why it is none. Photos are not opened.
        Photos that stand in the table itself are left out; `make data` stores them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read, or lacks a column that is mapped.
    """
    table = open_table(path)
    wanted = {name for names in (columns or {}).values() for name in names}
    is_ours = isinstance(table.content, ParquetTable) and table.columns == COLUMNS
    if is_ours and not (wanted and wanted <= set(COLUMNS)):
        return _read_ours(table)
    return _noted(
        ProductFiles([path], ReadOptions(columns=columns or {}, image_root=image_root)), notes
    )


def make_product(row: ProductRow, photo_folder: Path | None = None) -> Product:
    """Makes a product of a foreign table's row.

    Args:
        row: The row; of its photos those are taken that can be read.
        photo_folder: Where photos that stand in the table itself are stored; None leaves them out.
    """
    paths = (_photo_path(photo, photo_folder) for photo in row.photos)
    shared = {name: getattr(row, name) for name in COLUMNS if name != "images"}
    return Product(**shared, images=tuple(path for path in paths if path is not None))


def write_table(path: Path, products: Iterable[Product]) -> None:
    """Writes products as a table of our own, lazily; the file appears whole or not at all.

    Photos below the table's folder are named relative to it, others by absolute path.

    Args:
        path: Target, Parquet; its folder is made.
        products: The rows.
    """
    with atomic_write(path) as partial, pq.ParquetWriter(partial, SCHEMA) as writer:
        for group in blocks(as_batches(products, path.parent.absolute()), _BLOCKS_OF_GROUP):
            writer.write_table(pa.Table.from_batches(group))


def as_batches(products: Iterable[Product], folder: Path | None = None) -> Iterator[pa.RecordBatch]:
    """Returns products as rows of our own table, some thousands at a time.

    Args:
        products: The rows.
        folder: Photos below it are named relative to it; None names all by absolute path.
    """
    for block in blocks(products, ROWS_AT_ONCE):
        rows = [_format_row(product, folder) for product in block]
        yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def parse_row(cells: Mapping[str, object], folder: Path) -> Product:
    """Makes a product of a row of our own table.

    Args:
        cells: Values of `COLUMNS`.
        folder: Folder of the table.

    Raises:
        ValueError: If a value is none that we write.
        TypeError: Likewise.
    """
    texts = {name: _text(cells[name]) for name in ("product_id", *_TEXT_COLUMNS)}
    price = cells["price"]
    return Product(
        **texts,
        price=price if isinstance(price, float) else None,
        attributes=json.loads(_text(cells["attributes"]) or "{}"),
        images=parse_images(_text(cells["images"]), folder),
    )


def parse_images(cell: str, folder: Path) -> tuple[Path, ...]:
    """Returns the photos that a cell of our own table names; raises as `parse_row`."""
    return tuple(folder / name for name in json.loads(cell or "[]"))


def _read_ours(table: Table) -> Iterator[Row]:
    for row in table.rows(COLUMNS):
        if isinstance(row, BadRow):
            yield row
            continue
        try:
            yield parse_row(row.cells, table.path.parent)
        except (ValueError, TypeError) as error:
            yield row.refuse(str(error))


def _text(cell: object) -> str:
    return cell if isinstance(cell, str) else ""


def _noted(files: ProductFiles, notes: list[str] | None) -> Iterator[Row]:
    for row in files.rows():
        yield row if isinstance(row, BadRow) else make_product(row)
    found = [f"{files.name}: {sentence}" for sentence in files.findings.sentences()]
    for sentence in found:
        logger.warning("%s", sentence)
    if notes is not None:
        notes.extend(found)


def _photo_path(photo: Photo, folder: Path | None) -> Path | None:
    if not photo.data or folder is None:
        return photo.path
    path = folder / hashlib.sha256(photo.data).hexdigest()
    if not path.is_file():
        with atomic_write(path) as partial:
            partial.write_bytes(photo.data)
    return path


def _format_row(product: Product, folder: Path | None) -> dict[str, str | float | None]:
    images = [_format_path(image, folder) for image in product.images]
    return {
        "product_id": product.product_id,
        "price": product.price,
        "attributes": _format_json(dict(product.attributes)),
        "images": _format_json(images),
        **{name: getattr(product, name) for name in _TEXT_COLUMNS},
    }


def _format_path(path: Path, folder: Path | None) -> str:
    absolute = path.absolute()
    if folder is not None and absolute.is_relative_to(folder):
        return str(absolute.relative_to(folder))
    return str(absolute)


def _format_json(value: dict[str, str] | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
