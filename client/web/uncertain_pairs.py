"""Where pairs to judge come from: offers of a file, or the catalogue against itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from twinshelf.client.records import Match, MatchOptions, Offer, Product
from twinshelf.client.sync_client import Client
from twinshelf.client.web.background import Progress
from twinshelf.client.web.judgements import CandidatePair, Judgements
from twinshelf.client.web.product_photos import ProductPhotos
from twinshelf.client.web.table_uploads import TableUpload

MATCHES_LOOKED_AT: Final = 5
PRODUCTS_AT_MOST: Final = 20_000
_PRODUCTS_AT_ONCE: Final = 500
_CATALOGUE: Final = "catalogue"


def is_stored(key: str) -> bool:
    """Whether the key of a record says that it is a product of the catalogue."""
    return key.startswith(f"{_CATALOGUE}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Which pairs are worth a person's time.

    Attributes:
        least: Least probability, 0 to 1.
        greatest: Greatest probability, 0 to 1, not below `least`.

    Raises:
        ValueError: If they are no such range.
    """

    least: float = 0.1
    greatest: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.greatest <= 1:
            raise ValueError(
                "The least and the greatest probability must be 0 to 1, the least first; got "
                f"{self.least:g} and {self.greatest:g}."
            )


@dataclass(slots=True, kw_only=True)
class PairSearch:
    """Finds uncertain pairs and keeps them for the reviewers; one search at a time.

    Attributes:
        judgements: Where they are kept.
        photos: Finds the photos of products.
        progress: Counts the records that are done.
        found_count: Pairs that were new.
        failed_count: Records that the service refused.
        failure: Why the first of them was; empty when none was.
    """

    judgements: Judgements
    photos: ProductPhotos
    progress: Progress = field(default_factory=Progress)
    found_count: int = 0
    failed_count: int = 0
    failure: str = ""

    def reset(self, progress: Progress) -> None:
        """Forgets the search before this one; the next is counted by another progress."""
        self.progress = progress
        self.found_count = self.failed_count = 0
        self.failure = ""

    def search_table(self, client: Client, upload: TableUpload, band: Band) -> None:
        """Matches the offers of a table against the catalogue.

        Args:
            client: Of the service.
            upload: The table.
            band: Which pairs are uncertain.

        Raises:
            ProductFileError: If it cannot be read.
            TwinshelfError: If the service fails as a whole.
        """
        upload.find_columns()
        self.progress.total_count = upload.count_rows()
        # Next week's offers.csv has other offers under the same numbers.
        self._search(client, upload.products(), upload.digest(), band)

    def search_catalogue(self, client: Client, product_count: int, band: Band) -> None:
        """Matches products of the catalogue against the others, from where it stopped last.

        Args:
            client: Of the service.
            product_count: Products at most.
            band: Which pairs are uncertain.

        Raises:
            TwinshelfError: If the service fails as a whole.
        """
        self.progress.total_count = min(product_count, client.stats().product_count)
        while (wanted := self.progress.total_count - self.progress.done_count) > 0:
            place = self.judgements.place(_CATALOGUE)
            page = client.list_page(page_size=min(_PRODUCTS_AT_ONCE, wanted), page_token=place)
            self._search(client, page.products, _CATALOGUE, band)
            # Empty behind the last page, so that the next search begins anew.
            self.judgements.keep_place(_CATALOGUE, page.next_page_token)
            if not page.products:
                return

    def _search(self, client: Client, products: Iterable[Product], source: str, band: Band) -> None:
        waiting: dict[int, Product] = {}

        def offers() -> Iterator[Offer]:
            """Remembers which product each offer was."""
            for index, product in enumerate(products):
                waiting[index] = replace(product, image=b"")
                yield self.photos.offer(product)

        options = MatchOptions(
            match_count=MATCHES_LOOKED_AT,
            # It would be its own best match; an offer of a file may have its id by chance.
            excludes_own_product=source == _CATALOGUE,
        )
        for answer in client.match_many(offers(), options):
            product = waiting.pop(answer.offer_index)
            self.progress.done_count += 1
            if answer.result is not None:
                pairs = _uncertain(product, answer.result.matches, source, band)
                self.found_count += self.judgements.add(pairs)
            elif answer.error is not None:
                self.failed_count += 1
                self.failure = self.failure or answer.error.message


def _uncertain(
    offer: Product, matches: Sequence[Match], source: str, band: Band
) -> Iterator[CandidatePair]:
    for match in matches:
        if band.least <= match.probability <= band.greatest:
            yield CandidatePair(
                left_key=f"{source}\n{offer.product_id}",
                right_key=f"{_CATALOGUE}\n{match.product.product_id}",
                left=offer,
                right=match.product,
                score=match.score,
                probability=match.probability,
            )
