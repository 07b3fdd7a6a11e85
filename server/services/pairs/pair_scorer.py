"""Scoring pairs: two records of a caller, or an offer and the best products that it matches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.ranking import Hit
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import Floats, OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.pair_contract import PairContract
from twinshelf.server.encoders.pair_cosines import NO_COSINES, Cosines, compare_embeddings
from twinshelf.server.encoders.pair_models import Pair, PairModels
from twinshelf.server.errors import InvalidRequestError, TwinshelfError
from twinshelf.server.services.embedding.admission import Work
from twinshelf.server.services.embedding.costs import pair_cost
from twinshelf.server.services.embedding.routed_embedder import RoutedEmbedder
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.freshness import check_fresh
from twinshelf.server.services.pairs.pair_reasons import (
    Reason,
    rows_without_each,
    strongest_reasons,
)
from twinshelf.server.services.pairs.pair_sides import PairSides, Side, SideTerms, side_of
from twinshelf.v1 import matching_service_pb2, product_pb2

Rows = TypeVar("Rows", Sequence[Pair], Floats)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """Whether two records are the same item.

    Attributes:
        probability: That they are, 0 to 1.
        reasons: What the features did to it, the strongest first.
        cosines: Those that were used.
        scorer: The contract of the scorer.
        encoder: The contract of the encoder behind the cosines; None when none was read.
    """

    probability: float
    reasons: tuple[Reason, ...]
    cosines: Cosines
    scorer: PairContract
    encoder: EncoderContract | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """Features (B, F) and probabilities of pairs, or of one without each of its features."""

    features: Floats
    probabilities: Floats


class PairScorer:
    """Reads sides, compares them, and asks the models under admission. One for the whole server."""

    def __init__(
        self,
        *,
        encoders: ServingEncoders,
        embedder: RoutedEmbedder,
        catalogue: Catalogue,
        sides: PairSides,
    ) -> None:
        """Takes the parts that it works with."""
        self._encoders = encoders
        self._embedder = embedder
        self._catalogue = catalogue
        self._sides = sides

    def contract_beside(self, encoder: EncoderContract) -> PairContract:
        """Returns the contract of the scorer that was published beside an encoder.

        Raises:
            PairScorerMissingError: If there is none.
        """
        return self._encoders.pairs_of(encoder).contract

    async def score(
        self, request: matching_service_pb2.ScorePairRequest, *, deadline_s: float | None
    ) -> PairScore:
        """Scores the pair of a request.

        Args:
            request: The pair and its options.
            deadline_s: When the caller will have gone, by `time.monotonic`; None never.

        Raises:
            TwinshelfError: If the request cannot be answered; see the proto for the kinds.
        """
        for name in ("left", "right"):
            self._sides.check(getattr(request, name), name)
        if request.reason_count < 0:
            raise InvalidRequestError(
                f"reason_count must be zero or more, got {request.reason_count}",
                field="reason_count",
            )
        encoder = self._encoders.choose(request, "")
        models = self._encoders.pairs_of(encoder)
        scorer = models.contract
        reads_cosines = scorer.pattern is not Pattern.NONE
        if reads_cosines and (request.left.product_id or request.right.product_id):
            check_fresh(self._catalogue, encoder)
        terms = SideTerms(contract=encoder, pattern=scorer.pattern, deadline_s=deadline_s)
        left, right = await asyncio.gather(
            self._sides.read(request.left, terms, "left"),
            self._sides.read(request.right, terms, "right"),
        )
        pair = _pair(left, right, encoder, scorer)
        judge = _explain if request.reason_count else _judge
        work = Work(pattern=Pattern.NONE, cost=pair_cost(1), deadline_s=deadline_s)
        async with self._embedder.answered(
            lambda: judge([pair], scorer, models), work, "pairs", encoder
        ) as judged:
            reasons = strongest_reasons(
                scorer.feature_names,
                judged.features[0],
                judged.probabilities,
                request.reason_count,
            )
        return PairScore(
            probability=float(judged.probabilities[0]),
            reasons=reasons if request.reason_count else (),
            cosines=pair.cosines,
            scorer=scorer,
            encoder=encoder if reads_cosines else None,
        )

    async def score_hits(
        self,
        offer: product_pb2.Offer,
        embedding: OfferEmbedding,
        hits: Sequence[Hit],
        terms: SideTerms,
        path: str,
    ) -> dict[str, float]:
        """Scores an offer against products that it matches.

        Args:
            offer: The offer.
            embedding: What the encoder made of it.
            hits: The products, one or more.
            terms: Encoder and modalities by which they are compared.
            path: Path of the offer, for the fields of errors.

        Returns:
            A probability, 0 to 1, by product_id; none of a product whose stored vector is gone.

        Raises:
            TwinshelfError: If they cannot be scored.
        """
        models = self._encoders.pairs_of(terms.contract)
        scorer = models.contract
        ids = [hit.product.record.product_id for hit in hits]
        stored = await self._catalogue.embedded_products(ids, terms.contract)
        left = await self._sides.read_offer(offer, terms, path, known=embedding)
        pairs = {
            product_id: _pair(left, side_of(product), terms.contract, scorer)
            for product_id, product in stored.items()
            if product.embedding is not None
        }
        if not pairs:
            return {}
        work = Work(
            pattern=Pattern.NONE,
            cost=pair_cost(len(pairs)),
            is_patient=terms.is_patient,
            deadline_s=terms.deadline_s,
        )
        async with self._embedder.answered(
            lambda: _judge(list(pairs.values()), scorer, models), work, "pairs", terms.contract
        ) as judged:
            return dict(zip(pairs, judged.probabilities.tolist(), strict=True))


async def _judge(
    pairs: Sequence[Pair], scorer: PairContract, models: PairModels
) -> _Judged | TwinshelfError:
    """Scores pairs; an error is an answer, as nobody may wait for it any more."""
    try:
        features = await _in_chunks(pairs, scorer, lambda chunk: models.features(chunk, scorer))
        probabilities = await _in_chunks(
            features, scorer, lambda chunk: models.probabilities(chunk, scorer)
        )
    except TwinshelfError as error:
        return error
    return _Judged(features=features, probabilities=probabilities)


async def _explain(
    pairs: Sequence[Pair], scorer: PairContract, models: PairModels
) -> _Judged | TwinshelfError:
    """Scores one pair, whole and without each of its features."""
    try:
        features = await models.features(pairs, scorer)
        probabilities = await _in_chunks(
            rows_without_each(features[0]),
            scorer,
            lambda chunk: models.probabilities(chunk, scorer),
        )
    except TwinshelfError as error:
        return error
    return _Judged(features=features, probabilities=probabilities)


def _pair(left: Side, right: Side, encoder: EncoderContract, scorer: PairContract) -> Pair:
    cosines = NO_COSINES
    # A scorer of precomputed vectors names cosines as well, but means other ones.
    if scorer.pattern is not Pattern.NONE and left.embedding and right.embedding:
        cosines = compare_embeddings(
            left.embedding, right.embedding, fusion_weight=encoder.fusion_weight
        )
    return Pair(left=left.record, right=right.record, cosines=cosines)


async def _in_chunks(
    rows: Rows, scorer: PairContract, ask: Callable[[Rows], Awaitable[Floats]]
) -> Floats:
    """Asks for all rows at once, in messages of what the models take, and waits for every one."""
    size = scorer.max_batch_size
    chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
    answers = await asyncio.gather(*map(ask, chunks), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return np.concatenate(cast(list[Floats], answers))
