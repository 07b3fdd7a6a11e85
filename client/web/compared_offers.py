"""A file of offers matched in two ways: one line an offer, kept while the page runs."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Self

from twinshelf.client.records import Match, Offer
from twinshelf.client.sync_client import Client
from twinshelf.client.web.background import Progress
from twinshelf.client.web.compare_form import CompareForm
from twinshelf.client.web.comparison import compare_answers
from twinshelf.client.web.match_setting import MatchSetting
from twinshelf.client.web.pair_export import csv_line
from twinshelf.client.web.popularity import by_popularity
from twinshelf.client.web.product_photos import ProductPhotos
from twinshelf.client.web.table_uploads import TableUpload

OFFERS_AT_MOST: Final = 20_000
FILES_KEPT: Final = 8
_OFFERS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BestMatch:
    """What is kept of a match: of whole products, 20,000 offers would fill the memory.

    Attributes:
        product_id: Of the product.
        title: Of the product.
        score: How alike they are, -1 to 1.
        probability: That they are the same item, 0 to 1.
    """

    product_id: str
    title: str
    score: float
    probability: float

    @classmethod
    def of(cls, matches: Sequence[Match]) -> Self | None:
        """Returns the first of some matches; None when there is none."""
        if not matches:
            return None
        first = matches[0]
        return cls(
            product_id=first.product.product_id,
            title=first.product.title,
            score=first.score,
            probability=first.probability,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedOffer:
    """An offer, and what the two settings made of it.

    Attributes:
        row: Its place in the file, from 1.
        offer_id: Its identifier there.
        title: Of the offer.
        firsts: Best match of each setting; None where there is none.
        shared_count: Matches that both have.
        depth: Matches of the longer answer.
        agreement: Average overlap of both answers, 0 to 1.
        failure: Why one of them failed; empty when none did.
    """

    row: int
    offer_id: str
    title: str
    firsts: tuple[BestMatch | None, BestMatch | None] = (None, None)
    shared_count: int = 0
    depth: int = 0
    agreement: float = 0.0
    failure: str = ""

    @property
    def has_same_first(self) -> bool:
        """Whether both have the same best match, or none."""
        left, right = (each and each.product_id for each in self.firsts)
        return left == right


@dataclass(slots=True, kw_only=True)
class ComparedFile:
    """The offers of a file, as far as they are done.

    Attributes:
        name: Of the file.
        visitor: Whose it is.
        form: The two settings, and what they share.
        views_attribute: Attribute of a product that holds its views.
        photos: Finds the photos of offers.
        progress: Counts the offers that are done.
        offers: Those, in the order of the file.
    """

    name: str
    visitor: str
    form: CompareForm
    views_attribute: str
    photos: ProductPhotos
    progress: Progress
    offers: list[ComparedOffer] = field(default_factory=list)

    @property
    def matched(self) -> list[ComparedOffer]:
        """The offers of which neither setting failed."""
        return [each for each in self.offers if not each.failure]

    def compare(self, clients: tuple[Client, Client], upload: TableUpload) -> None:
        """Matches the offers of a table in both ways.

        Args:
            clients: One for each setting.
            upload: The table.

        Raises:
            ProductFileError: If it cannot be read.
            TwinshelfError: If a service fails as a whole.
        """
        upload.find_columns()
        self.progress.total_count = min(upload.count_rows(), OFFERS_AT_MOST)
        products = islice(upload.products(), OFFERS_AT_MOST)
        while batch := [self.photos.offer(each) for each in islice(products, _OFFERS_AT_ONCE)]:
            sides = [
                self._match(client, setting, batch)
                for client, setting in zip(clients, (self.form.left, self.form.right), strict=True)
            ]
            for offer, left, right in zip(batch, *sides, strict=True):
                self.offers.append(self._compared(offer, left, right))
            self.progress.done_count += len(batch)

    def _match(
        self, client: Client, setting: MatchSetting, batch: Sequence[Offer]
    ) -> list[tuple[Match, ...] | str]:
        """Returns the matches of each offer, or why there are none."""
        sent = [setting.offer(offer) for offer in batch]
        answers: list[tuple[Match, ...] | str] = [()] * len(batch)
        places = [place for place, offer in enumerate(sent) if offer is not None]
        options = setting.options(self.form.search.options())
        given = (offer for offer in sent if offer is not None)
        for answer in client.match_many(given, options):
            place = places[answer.offer_index]
            if answer.result is not None:
                answers[place] = by_popularity(
                    answer.result.matches, self.form.search.popularity, self.views_attribute
                )
            elif answer.error is not None:
                answers[place] = answer.error.message
        return answers

    def _compared(
        self, offer: Offer, left: tuple[Match, ...] | str, right: tuple[Match, ...] | str
    ) -> ComparedOffer:
        row = len(self.offers) + 1
        if isinstance(left, str) or isinstance(right, str):
            failure = left if isinstance(left, str) else str(right)
            return ComparedOffer(
                row=row, offer_id=offer.product_id, title=offer.title, failure=failure
            )
        found = compare_answers(left, right)
        return ComparedOffer(
            row=row,
            offer_id=offer.product_id,
            title=offer.title,
            firsts=(BestMatch.of(left), BestMatch.of(right)),
            shared_count=found.shared_count,
            depth=found.depth,
            agreement=found.agreement,
        )


class ComparedFiles:
    """The files that were compared last; older ones are forgotten."""

    def __init__(self) -> None:
        """Starts without any."""
        self._files: OrderedDict[str, ComparedFile] = OrderedDict()

    def keep(self, file: ComparedFile) -> str:
        """Keeps a file and returns its identifier."""
        file_id = secrets.token_hex(8)
        self._files[file_id] = file
        idle = [key for key, each in self._files.items() if not each.progress.doing]
        for key in idle[: max(0, len(self._files) - FILES_KEPT)]:
            del self._files[key]
        return file_id

    def find(self, file_id: str, visitor: str) -> ComparedFile | None:
        """Returns a file of a visitor; None when there is none, or no longer."""
        file = self._files.get(file_id)
        return file if file and file.visitor == visitor else None


def comparison_csv(offers: Sequence[ComparedOffer]) -> Iterator[str]:
    """Yields a table of offers, one line each.

    Args:
        offers: That were compared.
    """
    names = ("id", "title", "score", "probability")
    yield csv_line(
        ["row", "offer_id", "title", "shared", "depth", "agreement", "same_first"]
        + [f"{side}_first_{name}" for side in ("left", "right") for name in names]
        + ["failure"]
    )
    for each in offers:
        yield csv_line(
            [str(each.row), each.offer_id, each.title, str(each.shared_count), str(each.depth)]
            + [f"{each.agreement:.4f}", str(int(each.has_same_first))]
            + [cell for first in each.firsts for cell in _cells(first)]
            + [each.failure]
        )


def _cells(match: BestMatch | None) -> list[str]:
    if match is None:
        return [""] * 4
    return [match.product_id, match.title, f"{match.score:.6f}", f"{match.probability:.6f}"]
