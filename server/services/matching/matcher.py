"""Embedding offers and products, and looking offers up: the work behind both services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.ranking import HitPage, Query
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.modalities import Weights
from twinshelf.server.encoders.pair_contract import PairContract
from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.conversions import encoder_input
from twinshelf.server.services.embedding.costs import search_cost
from twinshelf.server.services.embedding.routed_embedder import RoutedEmbedder
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.freshness import check_fresh
from twinshelf.server.services.pairs.pair_scorer import PairScorer
from twinshelf.server.services.pairs.pair_sides import SideTerms
from twinshelf.server.services.requests import (
    Limits,
    MatchOptions,
    check_offer,
    read_options,
)
from twinshelf.server.services.stored_vectors import checked_embedding, embedded_product
from twinshelf.server.telemetry.metrics import Metrics
from twinshelf.server.telemetry.tracing import span
from twinshelf.v1 import matching_service_pb2, product_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of the hits of an offer, and what was embedded by whom."""

    page: HitPage
    embedding: OfferEmbedding
    contract: EncoderContract


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """What an offer matches.

    Attributes:
        found: A page of its hits.
        pair_scores: Probabilities by the pair scorer, by product_id.
        scorer: The pair scorer; None when none was asked for.
    """

    found: Found
    pair_scores: Mapping[str, float]
    scorer: PairContract | None


class Matcher:
    """Checks, embeds and searches. One for the whole server."""

    def __init__(
        self,
        *,
        encoders: ServingEncoders,
        catalogue: Catalogue,
        limits: Limits,
        embedder: RoutedEmbedder,
        pair_scorer: PairScorer,
        metrics: Metrics,
    ) -> None:
        """Takes the parts that it works with."""
        self._pair_scorer = pair_scorer
        self._encoders = encoders
        self._catalogue = catalogue
        self._limits = limits
        self._embedder = embedder
        self._metrics = metrics

    async def match(
        self,
        request: matching_service_pb2.MatchProductRequest,
        *,
        path: str = "",
        is_patient: bool = False,
        deadline_s: float | None = None,
    ) -> MatchResult:
        """Finds the products that an offer may show.

        Args:
            request: The offer and its options.
            path: What stands before the names of its fields, such as "request.".
            is_patient: Whether it may wait as long as it takes, as the offers of a stream do.
            deadline_s: When the caller will have gone, by `time.monotonic`; None never.

        Raises:
            TwinshelfError: If the request cannot be answered; see the proto for the kinds.
        """
        options = read_options(request, self._limits, path)
        check_offer(request.offer, self._limits, f"{path}offer")
        contract = self._encoders.choose(_asked(request, options), path)
        scorer = self._pair_scorer.contract_beside(contract) if options.pair_count else None
        found = await self.find(
            request.offer,
            options,
            contract,
            path=path,
            is_patient=is_patient,
            deadline_s=deadline_s,
        )
        pair_scores: Mapping[str, float] = {}
        # Those that stand before the page count as well.
        scored = found.page.hits[: max(0, options.pair_count - options.skip_count)]
        if scorer is not None and scored:
            terms = SideTerms(
                contract=found.contract,
                pattern=scorer.pattern,
                is_patient=is_patient,
                deadline_s=deadline_s,
            )
            pair_scores = await self._pair_scorer.score_hits(
                request.offer, found.embedding, scored, terms, f"{path}offer"
            )
            found = replace(found, page=_by_pair_score(found.page, pair_scores))
        return MatchResult(found=found, pair_scores=pair_scores, scorer=scorer)

    async def find(
        self,
        offer: product_pb2.Offer,
        options: MatchOptions,
        contract: EncoderContract,
        *,
        path: str,
        is_patient: bool,
        deadline_s: float | None,
        is_brief: bool = False,
    ) -> Found:
        """Finds the products most alike an offer that was checked.

        Args:
            offer: The offer.
            options: What is looked for.
            contract: That of the encoder that embeds it.
            path: What stands before the names of the request's fields, such as "request.".
            is_patient: Whether it may wait as long as it takes.
            deadline_s: When the caller will have gone, by `time.monotonic`; None never.
            is_brief: See `Query`.

        Raises:
            TwinshelfError: If it cannot be embedded, or the catalogue cannot be searched.
        """
        check_fresh(self._catalogue, contract)
        row = _row(offer, contract, f"{path}offer")
        async with self._embedder.embedded(
            row,
            contract,
            path=f"{path}offer",
            further_cost=search_cost(options.match_count),
            is_patient=is_patient,
            deadline_s=deadline_s,
        ) as embedding:
            return await self._search(embedding, options, contract, path, is_brief)

    async def find_like(
        self,
        product_id: str,
        options: MatchOptions,
        contract: EncoderContract,
        *,
        is_brief: bool = False,
    ) -> Found:
        """Finds the products most alike a stored one, by its stored vector; it is one of them.

        Args:
            product_id: Its identifier.
            options: What is looked for.
            contract: That of the encoder that embedded it.
            is_brief: See `Query`.

        Raises:
            ProductNotFoundError: If there is no such product.
            TwinshelfError: If its vector cannot be read, or the catalogue cannot be searched.
        """
        check_fresh(self._catalogue, contract)
        stored = await embedded_product(self._catalogue, product_id, contract)
        embedding = checked_embedding(stored, contract)
        return await self._search(embedding, options, contract, "", is_brief)

    async def _search(
        self,
        embedding: OfferEmbedding,
        options: MatchOptions,
        contract: EncoderContract,
        path: str,
        is_brief: bool,
    ) -> Found:
        query = Query(
            embedding=embedding,
            weights=_weights_for(options.weights or contract.weights, embedding, f"{path}weights"),
            match_count=options.match_count,
            min_probability=options.min_probability,
            match_prior=options.match_prior or contract.match_probability.match_prior,
            target_precision=options.target_precision,
            contract=contract,
            condition=options.condition,
            excluded_ids=options.excluded_ids,
            value_limit=options.value_limit,
            skip_count=options.skip_count,
            is_brief=is_brief,
        )
        with span("search"), self._metrics.stage("search"):
            await self._catalogue.open_index(contract)
            # The encoder may have been dropped since: what is left of its vectors is no answer.
            check_fresh(self._catalogue, contract)
            page = await self._catalogue.search(query)
        self._metrics.observe_stage("rescore", page.rescore_s)
        return Found(page=page, embedding=embedding, contract=contract)


def _asked(
    request: matching_service_pb2.MatchProductRequest, options: MatchOptions
) -> matching_service_pb2.MatchProductRequest:
    """Returns what names the encoder: another one would rank otherwise than on earlier pages."""
    if not options.page_digest:
        return request
    return matching_service_pb2.MatchProductRequest(encoder_digest=options.page_digest)


def _by_pair_score(page: HitPage, scores: Mapping[str, float]) -> HitPage:
    """Puts the hits that were scored as pairs first, the highest first; the others stay behind."""
    hits = sorted(page.hits, key=lambda hit: -scores.get(hit.product.record.product_id, -1.0))
    return replace(page, hits=tuple(hits))


def _weights_for(weights: Weights, embedding: OfferEmbedding, path: str) -> Weights:
    try:
        return weights.restricted_to(embedding.pattern)
    except ValueError as error:
        raise InvalidRequestError(str(error), field=path) from None


def _row(offer: product_pb2.Offer, contract: EncoderContract, path: str) -> EncoderInput:
    row = encoder_input(offer, contract, contract.text_fields.query_prefix)
    if row is None:
        raise InvalidRequestError(
            f"{path} must have an image or one of the texts that this encoder reads: "
            + ", ".join(contract.text_fields.names),
            field=path,
        )
    return row
