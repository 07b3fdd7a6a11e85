"""Tables of products, read whole."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table

MOST_BAD_ROWS_LOGGED = 5
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductTables:
    """Products of one or several tables, each identifier once.

    Attributes:
        products: The products, in the order of the files.
        bad_rows: Rows that could not be read, and second rows of an identifier in one file.
        repeated_count: Rows of a later file whose identifier an earlier file has; left out.
        findings: What of the files could not be used though its rows could, one sentence each.
    """

    products: tuple[Product, ...]
    bad_rows: tuple[BadRow, ...] = ()
    repeated_count: int = 0
    findings: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results should know, one sentence each."""
        notes = list(self.findings)
        if self.bad_rows:
            notes.append(f"{len(self.bad_rows)} rows were left out, first: {self.bad_rows[0]}")
        if self.repeated_count:
            notes.append(f"{self.repeated_count} rows stand in an earlier file too and count once")
        return tuple(notes)


def read_products(
    paths: Sequence[Path], columns: Mapping[str, Sequence[str]] | None = None
) -> ProductTables:
    """Reads tables of products whole.

    Args:
        paths: CSV or Parquet files.
        columns: Our column names to those of the files, where they differ.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file cannot be read, or none has a usable row.
    """
    products: dict[str, Product] = {}
    bad_rows: list[BadRow] = []
    findings: list[str] = []
    repeated_count = 0
    for path in paths:
        ours: set[str] = set()
        for row_number, row in enumerate(read_table(path, columns, findings), start=1):
            if isinstance(row, BadRow):
                bad_rows.append(row)
            elif row.product_id in ours:
                reason = f"product_id {row.product_id!r} stands in an earlier row already"
                bad_rows.append(BadRow(source=str(path), row_number=row_number, reason=reason))
            elif row.product_id in products:
                repeated_count += 1
            else:
                products[row.product_id] = row
                ours.add(row.product_id)
    for bad_row in bad_rows[:MOST_BAD_ROWS_LOGGED]:
        logger.warning("left out %s", bad_row)
    if not products:
        names = ", ".join(str(path) for path in paths)
        raise ValueError(f"{names} holds no usable row" + (f": {bad_rows[0]}" if bad_rows else ""))
    return ProductTables(
        products=tuple(products.values()),
        bad_rows=tuple(bad_rows),
        repeated_count=repeated_count,
        findings=tuple(findings),
    )
