"""`twinshelf match FILE`: matches every offer of a file and writes a table of the matches."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from twinshelf.client.file_products import offer_of
from twinshelf.client.files.photos import PhotoError
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles
from twinshelf.client.files.rows import BadRow, ProductFileError
from twinshelf.client.files.stored_bytes import PARQUET_SUFFIXES
from twinshelf.client.records import MatchAnswer, MatchOptions, Offer
from twinshelf.client.row_progress import RowProgress
from twinshelf.client.sync_client import Client

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("row_number", pa.int64()),
        ("offer_id", pa.string()),
        ("offer_title", pa.string()),
        ("rank", pa.int32()),
        ("product_id", pa.string()),
        ("product_title", pa.string()),
        ("probability", pa.float64()),
        ("is_match", pa.bool_()),
        ("no_match_probability", pa.float64()),
        ("score", pa.float64()),
        ("image_score", pa.float64()),
        ("text_score", pa.float64()),
        ("pair_probability", pa.float64()),
        ("error", pa.string()),
    ]
)
_WRITTEN_AT_ONCE = 1024
Line = dict[str, object]


@dataclass(slots=True, kw_only=True)
class MatchReport:
    """What became of the offers.

    Attributes:
        matched_count: Offers with a match.
        unmatched_count: Offers without one.
        failed_count: Offers that could not be read or were refused.
    """

    matched_count: int = 0
    unmatched_count: int = 0
    failed_count: int = 0


def match_files(
    client: Client,
    files: ProductFiles,
    options: MatchOptions,
    output: Path,
    console: Console,
) -> MatchReport:
    """Matches the offers of files; writes one line for each match, in the offers' order.

    An offer without a match, or with an error, has one line without a rank.

    Args:
        client: Of the service.
        files: The offers.
        options: How to match.
        output: CSV or Parquet, by its ending; it appears when all is done.
        console: Shows the progress.

    Raises:
        ProductFileError: If a file breaks off, or the output has another ending.
        TwinshelfError: If the service fails as a whole.
    """
    if output.suffix.lower() not in (".csv", *PARQUET_SUFFIXES):
        raise ProductFileError(f"the table of matches must end in .csv or .parquet, got {output}")
    report = MatchReport()
    with (
        RowProgress(console, files.name, files.count_rows()) as progress,
        MatchTable(output) as table,
    ):
        stream = _OfferStream(files)
        for answer in client.match_many(stream.offers(), options):
            stream.take(answer)
            for lines in stream.complete():
                _count(lines, report)
                table.write(lines)
                progress.advance()
        for lines in stream.complete():
            _count(lines, report)
            table.write(lines)
    return report


def _count(lines: list[Line], report: MatchReport) -> None:
    first = lines[0]
    report.failed_count += first["error"] is not None
    report.matched_count += first["rank"] is not None
    report.unmatched_count += first["rank"] is None and first["error"] is None


class _OfferStream:
    """Offers on their way, and their lines in the order of the file."""

    def __init__(self, files: ProductFiles) -> None:
        self._files = files
        self._sent: dict[int, tuple[int, Line]] = {}
        self._sent_count = 0
        self._lines: dict[int, list[Line]] = {}
        self._place = 0
        self._next_place = 0

    def offers(self) -> Iterator[Offer]:
        """Yields the offers that can be sent."""
        for row in self._files.rows():
            place, self._place = self._place, self._place + 1
            line = _line_of(row)
            try:
                if isinstance(row, BadRow):
                    raise PhotoError(row.reason)
                offer = offer_of(row)
            except PhotoError as error:
                self._lines[place] = [line | {"error": str(error)}]
                continue
            self._sent[self._sent_count] = (place, line)
            self._sent_count += 1
            yield offer

    def take(self, answer: MatchAnswer) -> None:
        """Keeps the lines of one answer."""
        place, line = self._sent.pop(answer.offer_index)
        if answer.result is None:
            self._lines[place] = [line | {"error": str(answer.error)}]
            return
        line |= {"no_match_probability": answer.result.no_match_probability}
        self._lines[place] = [
            line
            | {
                "rank": rank,
                "product_id": match.product.product_id,
                "product_title": match.product.title,
                "probability": match.probability,
                "is_match": match.is_match,
                "score": match.score,
                "image_score": match.image_score,
                "text_score": match.text_score,
                "pair_probability": match.pair_probability,
            }
            for rank, match in enumerate(answer.result.matches, start=1)
        ] or [line]

    def complete(self) -> Iterator[list[Line]]:
        """Yields the lines of the offers that are next in the file's order."""
        while self._next_place in self._lines:
            yield self._lines.pop(self._next_place)
            self._next_place += 1


def _line_of(row: ProductRow | BadRow) -> Line:
    line: Line = dict.fromkeys(SCHEMA.names)
    line |= {"source": row.source, "row_number": row.row_number}
    if isinstance(row, ProductRow):
        line |= {"offer_id": row.product_id, "offer_title": row.title}
    return line


class MatchTable(AbstractContextManager["MatchTable"]):
    """A table of matches that appears under its name when it is complete."""

    def __init__(self, path: Path) -> None:
        """Opens a file beside the target.

        Args:
            path: Target, CSV or Parquet by its ending.
        """
        self._path = path
        self._partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        self._waiting: list[Line] = []
        self._parquet: pq.ParquetWriter | None = None
        if path.suffix.lower() in PARQUET_SUFFIXES:
            self._parquet = pq.ParquetWriter(self._partial, SCHEMA)
        else:
            self._text = self._partial.open("w", encoding="utf-8", newline="")
            self._csv = csv.DictWriter(self._text, SCHEMA.names)
            self._csv.writeheader()

    def write(self, lines: list[Line]) -> None:
        """Adds lines."""
        if self._parquet is None:
            self._csv.writerows(lines)
            return
        self._waiting += lines
        if len(self._waiting) >= _WRITTEN_AT_ONCE:
            self._flush(self._parquet)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._parquet is None:
            self._text.close()
        else:
            self._flush(self._parquet)
            self._parquet.close()
        if error is None:
            os.replace(self._partial, self._path)
        else:
            self._partial.unlink(missing_ok=True)

    def _flush(self, writer: pq.ParquetWriter) -> None:
        writer.write_table(pa.Table.from_pylist(self._waiting, schema=SCHEMA))
        self._waiting = []
