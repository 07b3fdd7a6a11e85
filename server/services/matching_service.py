"""MatchingService: from an offer to the products that it may show."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from twinshelf.server.catalogue.ranking import PAGE_LIMIT_BYTES
from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.calls.call_interceptor import deadline_of
from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.services.calls.streams import StreamBounds, answers_as_done
from twinshelf.server.services.conversions import (
    encoder_info,
    filter_plan,
    modality_pattern,
    write_match,
)
from twinshelf.server.services.matching.category_predictor import CategoryPredictor
from twinshelf.server.services.matching.encoder_comparison import EncoderComparison
from twinshelf.server.services.matching.matcher import Matcher, MatchResult
from twinshelf.server.services.pairs.pair_answers import pair_response, pair_scorer_info
from twinshelf.server.services.pairs.pair_scorer import PairScorer
from twinshelf.server.services.requests import DEFAULT_MATCH_COUNT, match_page_token
from twinshelf.v1 import matching_service_pb2 as pb
from twinshelf.v1 import matching_service_pb2_grpc

# What one match of an answer may take, for the memory that a stream sets aside; most take less.
_MATCH_BYTES = 4096


class MatchingServicer(matching_service_pb2_grpc.MatchingServiceServicer):
    """Answers `twinshelf.v1.MatchingService`."""

    def __init__(
        self,
        *,
        matcher: Matcher,
        comparison: EncoderComparison,
        pair_scorer: PairScorer,
        category_predictor: CategoryPredictor,
        bounds: StreamBounds,
        observer: CallObserver,
    ) -> None:
        """Takes the parts that it works with."""
        self._matcher = matcher
        self._comparison = comparison
        self._pair_scorer = pair_scorer
        self._category_predictor = category_predictor
        self._bounds = bounds
        self._observer = observer

    async def MatchProduct(  # noqa: N802 - the name is the proto's
        self, request: pb.MatchProductRequest, context: grpc.aio.ServicerContext
    ) -> pb.MatchProductResponse:
        """Matches one offer."""
        result = await self._matcher.match(request, deadline_s=deadline_of(context))
        self._comparison.consider(request, result)
        return _response(request, result)

    async def MatchProducts(  # noqa: N802 - the name is the proto's
        self, requests: AsyncIterator[pb.MatchProductsRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.MatchProductsResponse]:
        """Matches a stream of offers; each is answered when it is done, an error included."""

        def size_bytes(request: pb.MatchProductsRequest) -> int:
            """Returns what a request and its answer take."""
            count = request.request.match_count or DEFAULT_MATCH_COUNT
            answer_bytes = min(max(count, 1) * _MATCH_BYTES, PAGE_LIMIT_BYTES)
            own_bytes = self._bounds.message_bytes(request, lambda: [request.request.offer.image])
            return own_bytes + answer_bytes

        def refuse(
            position: int, request: pb.MatchProductsRequest, error: Exception
        ) -> pb.MatchProductsResponse:
            """Answers one offer with its failure."""
            status = self._observer.row_status_of(error, position)
            return pb.MatchProductsResponse(request_id=request.request_id, error=status)

        async def answer(
            position: int, request: pb.MatchProductsRequest
        ) -> pb.MatchProductsResponse:
            """Matches one offer; a failure ends as its answer, so that the stream goes on."""
            try:
                if not request.HasField("request"):
                    raise InvalidRequestError("request must be set", field="request")
                result = await self._matcher.match(
                    request.request, path="request.", is_patient=True
                )
                self._comparison.consider(request.request, result)
                return pb.MatchProductsResponse(
                    request_id=request.request_id, response=_response(request.request, result)
                )
            except Exception as error:  # the boundary: one offer's failure is its own answer
                return refuse(position, request, error)

        async for response in answers_as_done(requests, answer, size_bytes, refuse, self._bounds):
            yield response

    async def ScorePair(  # noqa: N802 - the name is the proto's
        self, request: pb.ScorePairRequest, context: grpc.aio.ServicerContext
    ) -> pb.ScorePairResponse:
        """Says whether two records are the same item."""
        score = await self._pair_scorer.score(request, deadline_s=deadline_of(context))
        return pair_response(score)

    async def PredictCategory(  # noqa: N802 - the name is the proto's
        self, request: pb.PredictCategoryRequest, context: grpc.aio.ServicerContext
    ) -> pb.PredictCategoryResponse:
        """Predicts the category of an offer."""
        return await self._category_predictor.predict(request, deadline_s=deadline_of(context))


def _response(request: pb.MatchProductRequest, result: MatchResult) -> pb.MatchProductResponse:
    found = result.found
    following, digest = found.page.next_skip_count, found.contract.digest
    response = pb.MatchProductResponse(
        no_match_probability=found.page.no_match_probability,
        pattern=modality_pattern(found.embedding.pattern),
        encoder=encoder_info(found.contract),
        next_page_token="" if following is None else match_page_token(request, following, digest),
    )
    if found.page.plan is not None:
        response.filter_plan.CopyFrom(filter_plan(found.page.plan))
    for hit in found.page.hits:
        match = response.matches.add()
        write_match(hit, match)
        if (probability := result.pair_scores.get(match.product.product_id)) is not None:
            match.pair_probability = probability
    if result.scorer is not None:
        response.pair_scorer.CopyFrom(pair_scorer_info(result.scorer))
    return response
