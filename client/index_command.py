"""`twinshelf index`: stores the products of a file; shows progress and the rows that failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from client.output import count_of, write_json
from client.product_file import ProductFile
from client.records import Product
from client.sync_client import TwinshelfClient

FAILURES_SHOWN = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFailure:
    """A row that is not in the catalogue.

    Attributes:
        row_number: From 1, the header not counted.
        product_id: Empty when the row could not be read.
        reason: Why, in a sentence.
    """

    row_number: int
    product_id: str
    reason: str


@dataclass(slots=True, kw_only=True)
class IndexReport:
    """What became of the rows so far."""

    stored_count: int = 0
    replaced_count: int = 0
    failures: list[RowFailure] = field(default_factory=list)


def index_file(
    client: TwinshelfClient, file: ProductFile, report: IndexReport, console: Console
) -> None:
    """Stores the products of a file.

    Args:
        client: Where to.
        file: What.
        report: Filled while the rows are answered, so that it holds what was done upon an error.
        console: Shows the progress bar; never standard output, which is for the result.

    Raises:
        ProductFileError: If the file breaks off.
        TwinshelfError: If the service fails as a whole.
    """
    with _progress_bar(console) as progress:
        task = progress.add_task(file.path.name, total=file.count_rows())
        # Row number of the n-th product that was sent.
        row_numbers: list[int] = []

        def products() -> Iterator[Product]:
            """Yields what can be sent; a row that cannot is reported on the way."""
            for row in file.rows():
                if row.product is None:
                    report.failures.append(
                        RowFailure(row_number=row.row_number, product_id="", reason=row.reason)
                    )
                    progress.advance(task)
                    continue
                row_numbers.append(row.row_number)
                yield row.product

        for answer in client.upsert(products()):
            progress.advance(task)
            if answer.error is None:
                report.stored_count += 1
                report.replaced_count += answer.replaced
                continue
            report.failures.append(
                RowFailure(
                    row_number=row_numbers[answer.product_index],
                    product_id=answer.product_id,
                    reason=answer.error.message,
                )
            )
    report.failures.sort(key=lambda failure: failure.row_number)


def print_report(report: IndexReport, console: Console) -> None:
    """Prints the failures, the first of them when they are many, and the counts.

    Args:
        report: What became of the rows.
        console: Where to.
    """
    if report.failures:
        console.print("Rows that failed", style="bold")
        table = Table(box=None, pad_edge=False)
        table.add_column("row", justify="right", no_wrap=True)
        table.add_column("product", no_wrap=True)
        table.add_column("reason")
        for failure in report.failures[:FAILURES_SHOWN]:
            table.add_row(str(failure.row_number), Text(failure.product_id), Text(failure.reason))
        console.print(table)
        hidden_count = len(report.failures) - FAILURES_SHOWN
        if hidden_count > 0:
            console.print(f"… and {hidden_count:,} more; --json prints all of them")
    console.print(
        f"{count_of(report.stored_count, 'product')} stored, "
        f"{report.replaced_count:,} of them replaced; "
        f"{count_of(len(report.failures), 'row')} failed"
    )


def write_report(report: IndexReport, stream: TextIO) -> None:
    """Writes one JSON object for each failure, then one with the counts.

    Args:
        report: What became of the rows.
        stream: Where to.
    """
    for failure in report.failures:
        write_json(
            stream,
            {
                "row_number": failure.row_number,
                "product_id": failure.product_id,
                "reason": failure.reason,
            },
        )
    write_json(
        stream,
        {
            "stored_count": report.stored_count,
            "replaced_count": report.replaced_count,
            "failed_count": len(report.failures),
        },
    )


def _progress_bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        # Without a terminal a bar is noise in a log.
        disable=not console.is_terminal,
    )
