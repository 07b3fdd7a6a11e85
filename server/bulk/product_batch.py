"""Rows of product files on their way to whoever embeds them: batches, in the order of the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice

from twinshelf.client.conversions import product_to_message
from twinshelf.client.file_products import product_of
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles
from twinshelf.client.files.rows import BadRow
from twinshelf.client.files.values.photos import PhotoError

# A part of an output is written at once: what a killed run has to repeat.
PART_ROWS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A row of an input, as the service would be sent it.

    Attributes:
        row_number: From 1, the header not counted.
        product: The message `twinshelf.v1.Product`, serialised; empty when the row is bad.
        error: Why the row is bad; empty when it is not.
        photo_error: Why its first photo was left out; empty when none was.
    """

    row_number: int
    product: bytes
    error: str = ""
    photo_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductBatch:
    """Rows that are embedded together.

    Attributes:
        input_place: Which input they are of, from 0.
        part_number: Which part of its output they belong to, from 0.
        rows: The rows; none marks the end of the input, which has `part_number` parts.
    """

    input_place: int
    part_number: int
    rows: tuple[BatchRow, ...]


def read_batches(
    files: ProductFiles, input_place: int, batch_size: int, whole_parts: frozenset[int]
) -> Iterator[ProductBatch]:
    """Yields the rows of one input, then what marks its end; photos are read now.

    Args:
        files: The input, one table.
        input_place: What its batches are marked with.
        batch_size: Most rows of a batch; a batch is of one part.
        whole_parts: Parts that are there already; their rows are passed over.

    Raises:
        ProductFileError: If the input breaks off.
    """
    rows = files.rows()
    for part_number in count():
        part = islice(rows, PART_ROWS)
        row_count = 0
        while batch := list(islice(part, batch_size)):
            row_count += len(batch)
            if part_number not in whole_parts:
                yield ProductBatch(
                    input_place=input_place,
                    part_number=part_number,
                    rows=tuple(_batch_row(row, files.photo_count) for row in batch),
                )
        if row_count < PART_ROWS:
            part_count = part_number + (row_count > 0)
            yield ProductBatch(input_place=input_place, part_number=part_count, rows=())
            return


def _batch_row(row: ProductRow | BadRow, photo_count: int) -> BatchRow:
    photo_error = ""
    while isinstance(row, ProductRow):
        try:
            message = product_to_message(product_of(row, photo_count))
        except PhotoError as error:  # it has become unreadable since the row was read
            photo_error = str(error)
            row = _without_main_photo(row, photo_error)
        else:
            return BatchRow(
                row_number=row.row_number,
                product=message.SerializeToString(),
                photo_error=photo_error,
            )
    return BatchRow(row_number=row.row_number, product=b"", error=row.reason)


def _without_main_photo(row: ProductRow, reason: str) -> ProductRow | BadRow:
    """Takes the main photo off a row; one that has nothing else is bad."""
    others = tuple(photo for photo in row.photos if photo is not row.main_photo)
    left = replace(row, photos=others)
    if left.has_text or left.main_photo:
        return left
    return BadRow(source=row.source, row_number=row.row_number, reason=reason)
