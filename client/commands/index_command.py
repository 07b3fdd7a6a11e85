"""`twinshelf index`: stores the products of a file; shows progress and the rows that failed."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TextIO

from rich.console import Console
from rich.table import Table

from twinshelf.client.commands.output import plain, write_json
from twinshelf.client.commands.resume_point import ResumePoint
from twinshelf.client.commands.row_progress import RowProgress
from twinshelf.client.encoders.records import ReindexAnswer
from twinshelf.client.errors import TwinshelfError, is_of_every_row
from twinshelf.client.file_products import product_of, update_of
from twinshelf.client.files.findings import count_of
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles
from twinshelf.client.files.rows import BadRow
from twinshelf.client.files.values.photos import PhotoError
from twinshelf.client.records import Product, ProductUpdate, UpsertAnswer
from twinshelf.client.sync_client import Client

FAILURES_SHOWN = 30
_FURTHER_PHOTO = re.compile(r"further_images\[(\d+)\]$")


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
    """What became of the rows so far.

    Attributes:
        stored_count: Products stored by this run.
        replaced_count: Those of them that replaced one.
        resumed_count: Rows that an earlier run had done.
        failures: Rows that are not in the catalogue, those of an earlier run too.
        findings: What was left empty or left out, in sentences.
        reindexes: Whether products were not stored, but embedded by a new encoder; those that it
            had embedded before count as replaced.
    """

    stored_count: int = 0
    replaced_count: int = 0
    resumed_count: int = 0
    failures: list[RowFailure] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    reindexes: bool = False

    @property
    def done_word(self) -> str:
        """What was done with a product."""
        return "embedded" if self.reindexes else "stored"


def index_files(
    client: Client,
    files: ProductFiles,
    report: IndexReport,
    point: ResumePoint,
    console: Console,
    updated_fields: Sequence[str] = (),
) -> None:
    """Stores the products of files, changes some fields of those that are stored, or reindexes.

    Args:
        client: Where to.
        files: What.
        report: Says whether they are reindexed; filled while the rows are answered, so that it
            holds what was done upon an error.
        point: How far an earlier run came; moved on with each row.
        console: Shows the progress; never standard output, which is for the result.
        updated_fields: Fields that are changed; none stores whole products.

    Raises:
        ProductFileError: If a file breaks off.
        TwinshelfError: If the service fails as a whole.
    """
    report.resumed_count = point.done_count
    report.failures = [RowFailure(**json.loads(note)) for note in point.notes]
    with RowProgress(console, files.name, files.count_rows(), point.done_count) as progress:
        stream = _RowStream(files, report, point, progress, updated_fields)
        try:
            while stream.has_more:
                if report.reindexes:
                    products = map(_whole, stream.products())
                    for reindexed in client.encoders.reindex_products(products):
                        stream.take(reindexed, is_old=reindexed.was_embedded)
                else:
                    for stored in client.upsert(stream.products()):
                        stream.take(stored, is_old=stored.replaced)
        finally:
            report.findings = files.findings.sentences()
    report.failures.sort(key=lambda failure: failure.row_number)


class _RowStream:
    """The rows on their way to the service, and what becomes of each."""

    def __init__(
        self,
        files: ProductFiles,
        report: IndexReport,
        point: ResumePoint,
        progress: RowProgress,
        updated_fields: Sequence[str],
    ) -> None:
        self._files = files
        self._report = report
        self._point = point
        self._progress = progress
        self._updated_fields = updated_fields
        self._rows = enumerate(files.rows())
        self._again: deque[tuple[int, ProductRow]] = deque()
        self._sent: dict[int, tuple[int, ProductRow]] = {}
        self._sent_count = 0
        self._is_read = False

    @property
    def has_more(self) -> bool:
        """Whether there is anything left to send."""
        return bool(self._again) or not self._is_read

    def products(self) -> Iterator[Product | ProductUpdate]:
        """Yields what can be sent; a row that cannot is reported on the way."""
        self._sent, self._sent_count = {}, 0
        done_before = self._report.resumed_count
        while True:
            if self._again:
                place, row = self._again.popleft()
            else:
                item = next(self._rows, None)
                if item is None:
                    self._is_read = True
                    return
                place, read = item
                if place < done_before:
                    continue
                if isinstance(read, BadRow):
                    self._fail(place, read.row_number, "", read.reason)
                    continue
                row = read
            try:
                product = self._message_of(row)
            except PhotoError as error:
                self._refuse(place, row, str(error))
                continue
            self._sent[self._sent_count] = (place, row)
            self._sent_count += 1
            yield product

    def take(self, answer: UpsertAnswer | ReindexAnswer, *, is_old: bool) -> None:
        """Books the answer to one product, which may have been there before.

        Raises:
            TwinshelfError: If what failed would be the same with all others.
        """
        place, row = self._sent.pop(answer.product_index)
        if answer.error is not None and is_of_every_row(answer.error):
            raise answer.error
        if answer.error is None:
            self._report.stored_count += 1
            self._report.replaced_count += is_old
            self._done(place)
        elif (photo := _refused_photo(answer.error)) is not None:
            self._refuse(place, row, answer.error.message, photo)
        else:
            self._fail(place, row.row_number, row.product_id, answer.error.message)

    def _message_of(self, row: ProductRow) -> Product | ProductUpdate:
        if not self._updated_fields:
            return product_of(row, self._files.photo_count)
        return update_of(row, self._updated_fields, self._files.photo_count)

    def _refuse(self, place: int, row: ProductRow, reason: str, photo: int = 0) -> None:
        """Takes a photo that is refused off its row; a row with a text stands without any."""
        readable = row.readable_photos
        stands_without = row.has_text and not self._report.reindexes
        if not readable or self._updated_fields or not (stands_without or len(readable) > 1):
            self._fail(place, row.row_number, row.product_id, reason)
            return
        refused = readable[min(photo, len(readable) - 1)]
        self._files.findings.add("photo", f"{refused.name or row.product_id}: {reason}")
        others = tuple(each for each in row.photos if each is not refused)
        self._again.append((place, replace(row, photos=others)))

    def _fail(self, place: int, row_number: int, product_id: str, reason: str) -> None:
        failure = RowFailure(row_number=row_number, product_id=product_id, reason=reason)
        self._report.failures.append(failure)
        self._done(place, json.dumps(asdict(failure)))

    def _done(self, place: int, note: str = "") -> None:
        self._point.reach(place, note)
        self._progress.advance()


def _refused_photo(error: TwinshelfError) -> int | None:
    """Returns the place of the photo that the service refuses; None if it is something else."""
    for violation in error.field_violations:
        if violation.field.endswith("image"):
            return 0
        if further := _FURTHER_PHOTO.search(violation.field):
            return 1 + int(further[1])
    return None


def _whole(product: Product | ProductUpdate) -> Product:
    """Returns a product that is no update."""
    assert isinstance(product, Product)
    return product


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
        table.add_column("product", overflow="fold")
        table.add_column("reason")
        for failure in report.failures[:FAILURES_SHOWN]:
            table.add_row(str(failure.row_number), plain(failure.product_id), plain(failure.reason))
        console.print(table)
        hidden_count = len(report.failures) - FAILURES_SHOWN
        if hidden_count > 0:
            console.print(f"… and {hidden_count:,} more; --json prints all of them")
    for sentence in report.findings:
        console.print(plain(sentence))
    console.print(
        f"{count_of(report.stored_count, 'product')} {report.done_word}, "
        f"{report.replaced_count:,} of them {'before' if report.reindexes else 'replaced'}; "
        f"{count_of(len(report.failures), 'row')} failed"
    )


def write_report(report: IndexReport, stream: TextIO) -> None:
    """Writes one JSON object for each failure, then one with the counts.

    Args:
        report: What became of the rows.
        stream: Where to.
    """
    for failure in report.failures:
        write_json(stream, asdict(failure))
    write_json(
        stream,
        {
            "stored_count": report.stored_count,
            "replaced_count": report.replaced_count,
            "resumed_count": report.resumed_count,
            "failed_count": len(report.failures),
            "findings": report.findings,
        },
    )
