"""`twinshelf match FILE`: matches every offer of a file and writes a table of the matches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from rich.console import Console

from twinshelf.client.commands.match_table import SCHEMA, Line, StagedTable
from twinshelf.client.commands.row_progress import RowProgress
from twinshelf.client.errors import PreconditionError, is_of_every_row
from twinshelf.client.file_products import offer_of
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles
from twinshelf.client.files.rows import BadRow
from twinshelf.client.files.values.photos import PhotoError
from twinshelf.client.records import MatchAnswer, MatchOptions, MatchResult, Offer
from twinshelf.client.sync_client import Client


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
    staged: StagedTable,
    console: Console,
) -> MatchReport:
    """Matches the offers of files; writes one line for each match, in the offers' order.

    An offer without a match, or with an error, has one line without a rank.

    Args:
        client: Of the service.
        files: The offers.
        options: How to match.
        staged: What an earlier run has matched, and where the rest goes; the table is written when
            all is done.
        console: Shows the progress.

    Raises:
        ProductFileError: If a file breaks off.
        TwinshelfError: If the service fails as a whole.
    """
    with RowProgress(console, files.name, files.count_rows(), staged.done_count) as progress:
        stream = _OfferStream(files, staged, progress)
        while stream.has_more:
            for answer in client.match_many(stream.offers(), options):
                stream.take(answer)
                stream.stage()
        stream.stage()
    report = MatchReport()
    for lines in staged.offers():
        _count(lines, report)
    staged.finish()
    return report


def _count(lines: list[Line], report: MatchReport) -> None:
    first = lines[0]
    report.failed_count += first["error"] is not None
    report.matched_count += first["rank"] is not None
    report.unmatched_count += first["rank"] is None and first["error"] is None


class _OfferStream:
    """Offers on their way, and their lines in the order of the file."""

    def __init__(self, files: ProductFiles, staged: StagedTable, progress: RowProgress) -> None:
        self._files = files
        self._staged = staged
        self._progress = progress
        self._rows = islice(enumerate(files.rows()), staged.done_count, None)
        self._again: deque[tuple[int, ProductRow]] = deque()
        self._sent: dict[int, tuple[int, ProductRow]] = {}
        self._lines: dict[int, list[Line]] = {}
        self._next_place = staged.done_count
        self._is_read = False

    @property
    def has_more(self) -> bool:
        """Whether there is anything left to send."""
        return bool(self._again) or not self._is_read

    def offers(self) -> Iterator[Offer]:
        """Yields the offers that can be sent."""
        self._sent, sent_count = {}, 0
        while item := self._again.popleft() if self._again else next(self._rows, None):
            place, row = item
            if isinstance(row, BadRow):
                self._fail(place, row, row.reason)
                continue
            try:
                offer = offer_of(row)
            except PhotoError as error:
                self._refuse(place, row, str(error))
                continue
            self._sent[sent_count] = (place, row)
            sent_count += 1
            yield offer
        self._is_read = True

    def take(self, answer: MatchAnswer) -> None:
        """Keeps the lines of one answer.

        Raises:
            TwinshelfError: If what failed would be the same with all others.
        """
        place, row = self._sent.pop(answer.offer_index)
        if answer.error is not None:
            # The encoder is not kept any more, say.
            if isinstance(answer.error, PreconditionError) or is_of_every_row(answer.error):
                raise answer.error
            is_photo = any(each.field.endswith("image") for each in answer.error.field_violations)
            (self._refuse if is_photo else self._fail)(place, row, str(answer.error))
        elif answer.result is not None:
            if answer.result.is_cut:
                self._files.findings.add("cut", row.product_id)
            self._lines[place] = _result_lines(row, answer.result)

    def stage(self) -> None:
        """Keeps the lines of the offers that are next in the file's order."""
        while self._next_place in self._lines:
            self._staged.add(self._lines.pop(self._next_place))
            self._next_place += 1
            self._progress.advance()

    def _refuse(self, place: int, row: ProductRow, reason: str) -> None:
        """Takes a photo that is refused off its offer, which is matched by the next, or by text."""
        refused, *others = row.readable_photos or (None,)
        if refused is not None and (row.has_text or others):
            self._files.findings.add("photo", f"{refused.name or row.product_id}: {reason}")
            self._again.append((place, replace(row, photos=tuple(others))))
        else:
            self._fail(place, row, reason)

    def _fail(self, place: int, row: ProductRow | BadRow, reason: str) -> None:
        self._lines[place] = [_line_of(row) | {"error": reason}]


def _result_lines(row: ProductRow, result: MatchResult) -> list[Line]:
    line = _line_of(row) | {"no_match_probability": result.no_match_probability}
    return [
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
        for rank, match in enumerate(result.matches, start=1)
    ] or [line]


def _line_of(row: ProductRow | BadRow) -> Line:
    line: Line = dict.fromkeys(SCHEMA.names)
    line |= {"source": row.source, "row_number": row.row_number}
    if isinstance(row, ProductRow):
        line |= {"offer_id": row.product_id, "offer_title": row.title}
    return line
