"""`twinshelf categorise --output TABLE`: categories of stored products, by their neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa
from rich.console import Console

from twinshelf.client.category_records import CategoryOptions
from twinshelf.client.commands.match_table import Line, StagedTable
from twinshelf.client.commands.row_progress import RowProgress
from twinshelf.client.errors import (
    PreconditionError,
    ProductNotFoundError,
    TwinshelfError,
    is_of_every_row,
)
from twinshelf.client.records import Product
from twinshelf.client.sync_client import Client

SCHEMA: Final = pa.schema(
    [
        ("product_id", pa.string()),
        ("title", pa.string()),
        ("category", pa.string()),
        ("predicted_category", pa.string()),
        ("share", pa.float64()),
        ("margin", pa.float64()),
        ("probability", pa.float64()),
        ("is_abstained", pa.bool_()),
        ("change_sequence", pa.int64()),
        ("error", pa.string()),
    ]
)
_CALLS_AT_ONCE: Final = 8
_ASKED_AT_ONCE: Final = 256


@dataclass(slots=True, kw_only=True)
class CategoryReport:
    """What became of the products.

    Attributes:
        predicted_count: Products with an answer.
        differing_count: Those of them that have a category, and another one.
        abstained_count: Products without an answer.
        failed_count: Products that could not be answered for.
        change_sequence: The last change that is in the table: where the next run goes on.
    """

    predicted_count: int = 0
    differing_count: int = 0
    abstained_count: int = 0
    failed_count: int = 0
    change_sequence: int = 0


def categorise_catalogue(
    client: Client,
    table: Path,
    options: CategoryOptions,
    from_sequence: int | None,
    console: Console,
) -> CategoryReport:
    """Asks for the category of every product, or of those that changed, and writes a table.

    A run that was stopped goes on behind the last product that it was told of.

    Args:
        client: Of the service.
        table: Target, .csv or .parquet.
        options: How to predict; the encoder that serves now answers for all.
        from_sequence: The last change that is known; None asks for all products.
        console: Shows the progress.

    Raises:
        ProductFileError: If the table has another ending, or another run writes it.
        TwinshelfError: If the service fails as a whole.
    """
    stats = client.stats()
    options = replace(options, encoder_digest=stats.encoder.digest)
    asked = repr((client.address, stats.history_id, options, from_sequence))
    with StagedTable(table, hashlib.sha256(asked.encode()).hexdigest(), SCHEMA) as staged:
        until, products = _what_is_left(client, staged, from_sequence, stats.change_sequence)
        with (
            RowProgress(console, "catalogue", stats.product_count, staged.done_count) as progress,
            ThreadPoolExecutor(_CALLS_AT_ONCE) as pool,
        ):
            while batch := list(islice(products, _ASKED_AT_ONCE)):
                for line in pool.map(partial(_line, client, options), batch):
                    if line is not None:
                        staged.add([line])
                    progress.advance()
        report = CategoryReport(change_sequence=until)
        for (line,) in staged.offers():
            _count(line, report)
        staged.finish()
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A product, and the change up to which its line is good."""

    product: Product
    change_sequence: int


def _what_is_left(
    client: Client, staged: StagedTable, from_sequence: int | None, last_change: int
) -> tuple[int, Iterator[_Asked]]:
    """Returns up to which change the table will be good, and the products that it lacks."""
    first = last = None
    for (last,) in staged.offers():
        first = first or last
    if from_sequence:  # 0 stands before the first
        start = from_sequence if last is None else int(str(last["change_sequence"]))
        until = max(start, last_change)
        return until, _changed(client, start, until)
    # What changed since the first run began is for the run after this one.
    until = last_change if first is None else int(str(first["change_sequence"]))
    after = "" if last is None else str(last["product_id"])
    left = (
        _Asked(product=product, change_sequence=until)
        for product in client.list_all()
        if product.product_id > after
    )
    return until, left


def _changed(client: Client, start: int, until: int) -> Iterator[_Asked]:
    """Yields the products whose last change lies after one change and not after another."""
    if start >= until:
        return
    for change in client.watch(start, includes_products=True):
        if change.change_sequence <= until and change.kind == "upserted":
            product = change.product or Product(product_id=change.product_id)
            yield _Asked(product=product, change_sequence=change.change_sequence)
        if change.change_sequence >= until:
            return


def _line(client: Client, options: CategoryOptions, asked: _Asked) -> Line | None:
    """Returns the line of a product; None where it is gone by now."""
    product = asked.product
    line: Line = dict.fromkeys(SCHEMA.names)
    line |= {
        "product_id": product.product_id,
        "title": product.title,
        "category": product.category,
        "change_sequence": asked.change_sequence,
    }
    try:
        found = client.predict_category(product.product_id, options)
    except ProductNotFoundError:
        return None
    except TwinshelfError as error:
        if isinstance(error, PreconditionError) or is_of_every_row(error):
            raise
        return line | {"error": str(error)}
    return line | {
        "predicted_category": found.category,
        "share": found.categories[0].share if found.categories else 0.0,
        "margin": found.margin,
        "probability": found.probability,
        "is_abstained": not found.category,
    }


def _count(line: Line, report: CategoryReport) -> None:
    report.failed_count += line["error"] is not None
    report.abstained_count += line["is_abstained"] is True
    if predicted := line["predicted_category"]:
        report.predicted_count += 1
        report.differing_count += bool(line["category"]) and line["category"] != predicted
