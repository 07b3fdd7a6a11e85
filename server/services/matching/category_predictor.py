"""The category of an offer: found by the vote of the products most alike it, with its evidence."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from twinshelf.server.catalogue.ranking import Hit
from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.conversions import encoder_info, modality_pattern
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.matching.category_vote import (
    MARGIN_NEIGHBOURS,
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
    read_weights,
)
from twinshelf.v1 import matching_service_pb2 as pb

DEFAULT_NEIGHBOUR_COUNT = 10
# Characters of a title in a vote: with 1,000 of them an answer stays below 4 MiB.
TITLE_LIMIT = 256


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
        """Predicts the category of an offer.

        Args:
            request: The offer and its options.
            deadline_s: When the caller will have gone, by `time.monotonic`; None never.

        Raises:
            TwinshelfError: If the request cannot be answered; see the proto for the kinds.
        """
        count = self._check(request)
        wanted = max(count, MARGIN_NEIGHBOURS) + bool(request.excluded_product_id)
        found = await self._matcher.find(
            request.offer,
            MatchOptions(match_count=wanted, weights=read_weights(request, "")),
            self._encoders.choose(request, ""),
            path="",
            is_patient=False,
            deadline_s=deadline_s,
            page_limit_bytes=sys.maxsize,  # of each product, only a short title is answered
        )
        neighbours = [
            _Neighbour(hit=hit, category=cut_path(hit.product.record.category, request.level_count))
            for hit in found.page.hits
            if hit.product.record.product_id != request.excluded_product_id
        ]
        votes = count_votes(
            [each.category for each in neighbours],
            [each.hit.ranked.score for each in neighbours],
            count,
        )
        return _response(found, neighbours, votes, request.min_margin)

    def _check(self, request: pb.PredictCategoryRequest) -> int:
        """Checks a request; returns how many neighbours are to vote."""
        check_offer(request.offer, self._limits, "offer")
        has_count = request.HasField("neighbour_count")
        count = request.neighbour_count if has_count else DEFAULT_NEIGHBOUR_COUNT
        if not 1 <= count <= self._limits.match_count:
            raise InvalidRequestError(
                f"neighbour_count must be 1 to {self._limits.match_count}, got {count}",
                field="neighbour_count",
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
        return count


def _response(
    found: Found, neighbours: list[_Neighbour], votes: CategoryVotes, min_margin: float
) -> pb.PredictCategoryResponse:
    response = pb.PredictCategoryResponse(
        category=votes.category if votes.margin >= min_margin else "",
        margin=votes.margin,
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
                title=record.title[:TITLE_LIMIT],
                category=neighbour.category,
                score=neighbour.hit.ranked.score,
                share=share,
            )
    return response
