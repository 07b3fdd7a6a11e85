"""The client for ordinary code: one object, one channel, safe to share between threads.

with Client("127.0.0.1:50051") as client:
    result = client.match(Offer(title="Arabica coffee beans 1 kg"))
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from twinshelf.client import category_conversions, conversions, pair_conversions
from twinshelf.client.call_terms import CallTerms
from twinshelf.client.category_records import (
    DEFAULT_CATEGORY_OPTIONS,
    CategoryOptions,
    CategoryPrediction,
)
from twinshelf.client.changes import ProductChange
from twinshelf.client.channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT_S
from twinshelf.client.conversions import identifiers
from twinshelf.client.credentials import ClientTls, call_metadata
from twinshelf.client.encoders.sync_encoders import Encoders
from twinshelf.client.errors import ProductNotFoundError
from twinshelf.client.groups.sync_groups import Groups
from twinshelf.client.pair_records import PairScore
from twinshelf.client.records import (
    DEFAULT_MATCH_OPTIONS,
    CatalogStats,
    DeleteResult,
    MatchAnswer,
    MatchOptions,
    MatchResult,
    Offer,
    Product,
    ProductEmbedding,
    ProductPage,
    ProductUpdate,
    SnapshotReport,
    StoredProduct,
    UpsertAnswer,
)
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.streams import match_method, upsert_method
from twinshelf.client.sync_calls import SyncCalls, open_channel
from twinshelf.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    encoder_service_pb2_grpc,
    group_service_pb2_grpc,
    matching_service_pb2_grpc,
)


class Client:
    """Speaks to one matching service.

    Every method raises `client.errors.TwinshelfError` or one of its kinds. Each takes `timeout_s`,
    the seconds for all attempts of the call together; None takes the client's own.

    Attributes:
        address: Where the service is.
        groups: Its groups of the same product.
        encoders: Its encoders.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry_policy: RetryPolicy | None = None,
        api_key: str | None = None,
        tls: ClientTls | None = None,
        seed: int | None = None,
    ) -> None:
        """Makes the channel; the service is reached at the first call.

        Args:
            address: host:port of the service, or `ipv4:host:port,host:port` of several that share a
                catalogue.
            timeout_s: Default time for a call, seconds, above zero; infinite for no end.
            retry_policy: How to repeat when the service is UNAVAILABLE or busy; None takes the
                default.
            api_key: Shown with every call, such as `ts_1a2b3c4d_…`; None shows none.
            tls: How to speak TLS; None speaks in clear.
            seed: Makes the jitter of the backoff repeatable; None does not.

        Raises:
            ValueError: If the timeout is not above zero, or the key or a file of TLS cannot be
                used.
        """
        self.address = address
        terms = CallTerms(address, timeout_s=timeout_s, policy=retry_policy, seed=seed)
        self._calls = SyncCalls(terms, call_metadata(api_key, address=address, tls=tls))
        self._call = self._calls.call
        self._channel = channel = open_channel(address, tls)
        self._matching = matching_service_pb2_grpc.MatchingServiceStub(channel)
        self._catalog = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        self.groups = Groups(group_service_pb2_grpc.GroupServiceStub(channel), self._call)
        self.encoders = Encoders(encoder_service_pb2_grpc.EncoderServiceStub(channel), self._calls)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel; running calls are cancelled."""
        self._channel.close()

    def match(
        self,
        offer: Offer,
        options: MatchOptions = DEFAULT_MATCH_OPTIONS,
        *,
        timeout_s: float | None = None,
    ) -> MatchResult:
        """Returns the products that an offer may show, best first.

        Args:
            offer: A photo, a text, or both.
            options: How many matches, weights, least probability, encoder to insist on.
            timeout_s: Time for the call, seconds; a long answer takes a call for each page.

        Raises:
            TwinshelfError: If a call fails.
        """
        request = conversions.match_request(offer, options)
        pages = [self._call(self._matching.MatchProduct, request, timeout_s)]
        while pages[-1].next_page_token:
            request.page_token = pages[-1].next_page_token
            pages.append(self._call(self._matching.MatchProduct, request, timeout_s))
        return conversions.match_result(*pages)

    def match_many(
        self,
        offers: Iterable[Offer],
        options: MatchOptions = DEFAULT_MATCH_OPTIONS,
        *,
        timeout_s: float | None = None,
    ) -> Iterator[MatchAnswer]:
        """Matches a stream of offers; yields each answer as it comes, in any order.

        Args:
            offers: Taken lazily, as fast as the service answers, in the caller's own thread: while
                the next one is waited for, nothing is yielded.
            options: How to match; the same for all.
            timeout_s: Longest silence of the service while it owes answers, seconds.

        Raises:
            TwinshelfError: If the stream fails as a whole; one failing offer is an answer.
        """
        method = match_method(options)
        return self._calls.stream(self._matching.MatchProducts, method, offers, timeout_s)

    def score_pair(
        self,
        left: Offer | str,
        right: Offer | str,
        *,
        reason_count: int = 0,
        encoder: int | str = "",
        timeout_s: float | None = None,
    ) -> PairScore:
        """Says whether two records are the same item, by the pair scorer.

        Args:
            left: An offer, or the id of a stored product; of an offer and a product, the offer.
            right: Likewise.
            reason_count: Most reasons to return, zero or more.
            encoder: Version or digest of the encoder that is to answer; "" takes the one that
                serves.
            timeout_s: Time for the call, seconds.

        Raises:
            PreconditionError: If no pair scorer is published beside the encoder.
            ProductNotFoundError: If the catalogue holds none of an id.
            TwinshelfError: If the call fails otherwise.
        """
        request = pair_conversions.pair_request(left, right, reason_count, encoder)
        return pair_conversions.pair_score(self._call(self._matching.ScorePair, request, timeout_s))

    def predict_category(
        self,
        asked: Offer | str,
        options: CategoryOptions = DEFAULT_CATEGORY_OPTIONS,
        *,
        timeout_s: float | None = None,
    ) -> CategoryPrediction:
        """Predicts the category of an offer by the vote of the products most alike it.

        Args:
            asked: An offer, or the id of a stored product, which has no vote itself.
            options: How many products vote, when to abstain, levels of the path.
            timeout_s: Time for the call, seconds.

        Raises:
            TwinshelfError: If the call fails.
        """
        request = category_conversions.category_request(asked, options)
        return category_conversions.category_prediction(
            self._call(self._matching.PredictCategory, request, timeout_s)
        )

    def upsert(
        self, products: Iterable[Product | ProductUpdate], *, timeout_s: float | None = None
    ) -> Iterator[UpsertAnswer]:
        """Stores a stream of products; yields each answer as it comes, in any order.

        A product that exists is replaced; a `ProductUpdate` changes some of its fields alone, and
        fails when there is none. Of several rows of one product the last stays: each is sent once
        the one before it is answered. Nothing happens before the answers are asked for.

        Args:
            products: Taken lazily, as fast as the service answers; see `match_many`.
            timeout_s: Longest silence of the service while it owes answers, seconds.

        Raises:
            TwinshelfError: If the stream fails as a whole; one failing product is an answer.
        """
        method = upsert_method()
        return self._calls.stream(self._catalog.UpsertProducts, method, products, timeout_s)

    def get(self, product_id: str, *, timeout_s: float | None = None) -> StoredProduct:
        """Returns one product.

        Args:
            product_id: Its identifier.
            timeout_s: Time for the call, seconds.

        Raises:
            ProductNotFoundError: If the catalogue holds none of this id.
            TwinshelfError: If the call fails otherwise.
        """
        request = catalog_service_pb2.GetProductRequest(product_id=product_id)
        return conversions.stored_product(self._call(self._catalog.GetProduct, request, timeout_s))

    def thumbnail(self, product_id: str, *, timeout_s: float | None = None) -> bytes:
        """Returns a small JPEG of the photo of a product, if the service keeps thumbnails.

        Args:
            product_id: Its identifier.
            timeout_s: Time for the call, seconds.

        Raises:
            ProductNotFoundError: If none is kept of such a product.
            TwinshelfError: If the call fails otherwise.
        """
        request = catalog_service_pb2.GetThumbnailRequest(product_id=product_id)
        return bytes(self._call(self._catalog.GetThumbnail, request, timeout_s).jpeg)

    def embeddings(
        self, product_ids: Sequence[str], *, timeout_s: float | None = None
    ) -> list[ProductEmbedding]:
        """Returns what the serving encoder made of some products; those without are left out.

        Args:
            product_ids: Their identifiers, 1 to 256.
            timeout_s: Time for the call, seconds.

        Raises:
            TwinshelfError: If the call fails.
        """
        request = catalog_service_pb2.GetEmbeddingsRequest(product_ids=identifiers(product_ids))
        return conversions.product_embeddings(
            self._call(self._catalog.GetEmbeddings, request, timeout_s)
        )

    def illustrate(self, result: MatchResult, *, timeout_s: float | None = None) -> MatchResult:
        """Returns a result with the thumbnails of its products, which a notebook then shows.

        Args:
            result: The matches of an offer.
            timeout_s: Time for each thumbnail, seconds.

        Raises:
            TwinshelfError: If a call fails; a product without a thumbnail is none.
        """
        pictures = {}
        for match in result.matches:
            product_id = match.product.product_id
            with contextlib.suppress(ProductNotFoundError):
                pictures[product_id] = self.thumbnail(product_id, timeout_s=timeout_s)
        return replace(result, pictures=pictures)

    def list_page(
        self, *, page_size: int = 0, page_token: str = "", timeout_s: float | None = None
    ) -> ProductPage:
        """Returns a page of the catalogue, by rising product_id.

        Args:
            page_size: Products at most, 1 to 1,000; 0 leaves it to the service (100).
            page_token: That of the page before; empty for the first.
            timeout_s: Time for the call, seconds.

        Raises:
            TwinshelfError: If the call fails.
        """
        request = catalog_service_pb2.ListProductsRequest(
            page_size=page_size, page_token=page_token
        )
        return conversions.product_page(self._call(self._catalog.ListProducts, request, timeout_s))

    def list_all(
        self, *, page_size: int = 1000, timeout_s: float | None = None
    ) -> Iterator[Product]:
        """Yields every product of the catalogue, by rising product_id.

        Args:
            page_size: Products fetched at a time, 1 to 1,000.
            timeout_s: Time for each page, seconds.

        Raises:
            TwinshelfError: If a call fails.
        """
        page_token = ""
        while True:
            page = self.list_page(page_size=page_size, page_token=page_token, timeout_s=timeout_s)
            yield from page.products
            if not (page_token := page.next_page_token):
                return

    def delete(self, product_ids: Sequence[str], *, timeout_s: float | None = None) -> DeleteResult:
        """Removes products for good; unknown ids are reported, not refused.

        Args:
            product_ids: 1 to 10,000 identifiers.
            timeout_s: Time for the call, seconds.

        Raises:
            ServiceUnavailableError: Also if the answer was lost: the products may be removed then,
                and nothing is repeated, as that would report them as missing.
            TwinshelfError: If the call fails.
        """
        request = catalog_service_pb2.DeleteProductsRequest(product_ids=identifiers(product_ids))
        method = self._catalog.DeleteProducts
        return conversions.delete_result(
            self._call(method, request, timeout_s, is_safe_to_repeat=False)
        )

    def stats(self, *, timeout_s: float | None = None) -> CatalogStats:
        """Counts what is stored and names the encoder.

        Args:
            timeout_s: Time for the call, seconds.

        Raises:
            TwinshelfError: If the call fails.
        """
        request = catalog_service_pb2.GetCatalogStatsRequest()
        return conversions.catalog_stats(
            self._call(self._catalog.GetCatalogStats, request, timeout_s)
        )

    def watch(
        self, from_sequence: int | None = None, *, includes_products: bool = False
    ) -> Iterator[ProductChange]:
        """Yields the changes of the catalogue as they come, for as long as it is iterated.

        Of each product its last change comes, and before it perhaps deletions of it. A watch that
        breaks goes on where it was.

        Args:
            from_sequence: The last change that is known, such as the `change_sequence` that came
                last; 0 yields every product first. None begins with the first change after the
                moment in which it is iterated.
            includes_products: Whether the products come as well.

        Raises:
            InvalidRequestError: If the service no longer knows all changes since (the reason is
                CHANGES_FORGOTTEN): begin again from 0 with an empty copy.
            TwinshelfError: If the watch breaks again and again.
        """
        if from_sequence is None:
            from_sequence = self.stats().change_sequence
        yield from self._calls.watch(
            self._catalog.WatchChanges, from_sequence, includes_products=includes_products
        )

    def snapshot(self, *, timeout_s: float | None = None) -> SnapshotReport:
        """Writes a snapshot of the search index, from which the service starts quickly.

        Args:
            timeout_s: Time for the call, seconds; a large catalogue may need minutes. The service
                goes on after it.

        Raises:
            TwinshelfError: If the call fails.
        """
        request = catalog_service_pb2.SnapshotRequest()
        return conversions.snapshot_report(self._call(self._catalog.Snapshot, request, timeout_s))
