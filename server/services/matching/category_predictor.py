"""The category of an offer: found by the vote of the products most alike it, with its evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from twinshelf.server.catalogue.product_filter import FieldIn, NoneOf
from twinshelf.server.catalogue.ranking import Hit
from twinshelf.server.encoders.category_curve import MARGIN_NEIGHBOURS, CategoryCurve
from twinshelf.server.encoders.modalities import Weights
from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.conversions import encoder_info, modality_pattern
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.matching.category_vote import (
    CategoryVotes,
    count_votes,
    cut_path,
)
from twinshelf.server.services.matching.matcher import Found, Matcher
from twinshelf.server.services.requests import (
    PRODUCT_ID_LIMIT_BYTES,
    Limits,
    MatchOptions,
    check_offer,
    check_product_id,
    read_weights,
)
from twinshelf.v1 import matching_service_pb2 as pb

DEFAULT_NEIGHBOUR_COUNT = 10
_HAS_CATEGORY = NoneOf(filters=(FieldIn(field="category", values=frozenset({""})),))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Neighbour:
    """A product near an offer, and the category that it votes for; "" has no vote."""

    hit: Hit
    category: str


class CategoryPredictor:
    """Lets products vote. One for the whole server."""

    def __init__(self, *, encoders: ServingEncoders, matcher: Matcher, limits: Limits) -> None:
        """Takes the parts that it works with."""
        self._encoders = encoders
        self._matcher = matcher
        self._limits = limits

    async def predict(
        self, request: pb.PredictCategoryRequest, *, deadline_s: float | None
    ) -> pb.PredictCategoryResponse:
        """Predicts the category of an offer, or of a stored product.

        Args:
            request: The offer or the product, and the options.
            deadline_s: When the caller will have gone, by `time.monotonic`; None never.

        Raises:
            TwinshelfError: If the request cannot be answered; see the proto for the kinds.
        """
        self._check(request)
        wanted = max(request.neighbour_count, MARGIN_NEIGHBOURS) + len(_without_vote(request))
        weights = read_weights(request, "")
        options = MatchOptions(match_count=wanted, weights=weights)
        found = await self._find(request, options, deadline_s)
        neighbours = _neighbours(found, request)
        if not all(each.hit.product.record.category for each in neighbours):
            # Where categories are asked for many products have none: they must not take the places
            # of those that have one.
            options = replace(options, condition=_HAS_CATEGORY)
            found = await self._find(request, options, deadline_s)
            neighbours = _neighbours(found, request)
        curve = _curve(found, request, weights)
        usual_count = curve.neighbour_count if curve else DEFAULT_NEIGHBOUR_COUNT
        votes = count_votes(
            [each.category for each in neighbours],
            [each.hit.ranked.score for each in neighbours],
            request.neighbour_count or usual_count,
        )
        return _response(found, neighbours, votes, request, curve)

    async def _find(
        self, request: pb.PredictCategoryRequest, options: MatchOptions, deadline_s: float | None
    ) -> Found:
        contract = self._encoders.choose(request, "")
        if request.product_id:
            return await self._matcher.find_like(
                request.product_id, options, contract, is_brief=True
            )
        return await self._matcher.find(
            request.offer,
            options,
            contract,
            path="",
            is_patient=False,
            deadline_s=deadline_s,
            is_brief=True,
        )

    def _check(self, request: pb.PredictCategoryRequest) -> None:
        if request.product_id:
            check_product_id(request.product_id, "product_id")
            if request.HasField("offer"):
                raise InvalidRequestError(
                    "either offer or product_id can be set, not both", field="product_id"
                )
        else:
            check_offer(request.offer, self._limits, "offer")
        count = request.neighbour_count
        if request.HasField("neighbour_count") and not 1 <= count <= self._limits.match_count:
            raise InvalidRequestError(
                f"neighbour_count must be 1 to {self._limits.match_count}, got {count}",
                field="neighbour_count",
            )
        if not 0 <= request.target_precision < 1:
            raise InvalidRequestError(
                "target_precision must be above 0 and below 1, or 0 for any, "
                f"got {request.target_precision}",
                field="target_precision",
            )
        if not 0 <= request.min_margin <= 1:
            raise InvalidRequestError(
                f"min_margin must be 0 to 1, got {request.min_margin}", field="min_margin"
            )
        if request.level_count < 0:
            raise InvalidRequestError(
                f"level_count must be zero or more, got {request.level_count}", field="level_count"
            )
        if len(request.excluded_product_id.encode()) > PRODUCT_ID_LIMIT_BYTES:
            raise InvalidRequestError(
                f"excluded_product_id must be at most {PRODUCT_ID_LIMIT_BYTES} bytes of UTF-8",
                field="excluded_product_id",
            )


def _curve(
    found: Found, request: pb.PredictCategoryRequest, weights: Weights | None
) -> CategoryCurve | None:
    """Returns what margins mean; None where nothing was calibrated for such a vote."""
    pattern, usual = found.embedding.pattern, found.contract.weights
    curve = found.contract.category_curves.get(pattern)
    shares = [each.restricted_to(pattern).image for each in (weights or usual, usual)]
    is_usual = math.isclose(*shares, abs_tol=1e-6)  # those of a request are float32
    if curve is None or not is_usual or request.level_count:
        return None
    return curve if request.neighbour_count in (0, curve.neighbour_count) else None


def _neighbours(found: Found, request: pb.PredictCategoryRequest) -> list[_Neighbour]:
    return [
        _Neighbour(hit=hit, category=cut_path(hit.product.record.category, request.level_count))
        for hit in found.page.hits
        if hit.product.record.product_id not in _without_vote(request)
    ]


def _without_vote(request: pb.PredictCategoryRequest) -> set[str]:
    return {request.product_id, request.excluded_product_id} - {""}


def _is_answered(
    votes: CategoryVotes, request: pb.PredictCategoryRequest, curve: CategoryCurve | None
) -> bool:
    if not request.target_precision:
        return votes.margin >= request.min_margin
    if curve is None:  # nothing is known to be right so often
        return False
    probability, least = curve.probability(votes.margin), curve.threshold(request.target_precision)
    return votes.margin >= request.min_margin and probability >= least


def _response(
    found: Found,
    neighbours: list[_Neighbour],
    votes: CategoryVotes,
    request: pb.PredictCategoryRequest,
    curve: CategoryCurve | None,
) -> pb.PredictCategoryResponse:
    response = pb.PredictCategoryResponse(
        category=votes.category if _is_answered(votes, request, curve) else "",
        margin=votes.margin,
        probability=curve.probability(votes.margin) if curve and votes.category else None,
        pattern=modality_pattern(found.embedding.pattern),
        encoder=encoder_info(found.contract),
    )
    for category, share in votes.category_shares.items():
        response.categories.add(category=category, share=share)
    for neighbour, share in zip(neighbours, votes.vote_shares, strict=False):
        if neighbour.category:
            record = neighbour.hit.product.record
            response.votes.add(
                product_id=record.product_id,
                title=record.title,
                category=neighbour.category,
                score=neighbour.hit.ranked.score,
                share=share,
            )
    return response
