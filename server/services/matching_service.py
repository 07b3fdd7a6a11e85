"""MatchingService: from an offer to the products that it may show."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from protos.twinshelf.v1 import matching_service_pb2 as pb
from protos.twinshelf.v1 import matching_service_pb2_grpc
from server.errors import InvalidRequestError
from server.services.conversions import encoder_info, match_from_hit, modality_pattern
from server.services.error_interceptor import request_id_of
from server.services.matcher import Matcher
from server.services.statuses import status_of
from server.services.streams import answers_as_done


class MatchingServicer(matching_service_pb2_grpc.MatchingServiceServicer):
    """Answers `twinshelf.v1.MatchingService`."""

    def __init__(self, matcher: Matcher, stream_in_flight_count: int) -> None:
        """Takes the parts that it works with."""
        self._matcher = matcher
        self._stream_in_flight_count = stream_in_flight_count

    async def MatchProduct(  # noqa: N802 - the name is the proto's
        self, request: pb.MatchProductRequest, context: grpc.aio.ServicerContext
    ) -> pb.MatchProductResponse:
        """Matches one offer."""
        return await self._match(request, path="")

    async def MatchProducts(  # noqa: N802 - the name is the proto's
        self, requests: AsyncIterator[pb.MatchProductsRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.MatchProductsResponse]:
        """Matches a stream of offers; each is answered when it is done, an error included."""
        call_id = request_id_of(context)

        async def answer(
            position: int, request: pb.MatchProductsRequest
        ) -> pb.MatchProductsResponse:
            """Matches one offer; a failure ends as its answer, so that the stream goes on."""
            try:
                if not request.HasField("request"):
                    raise InvalidRequestError("request must be set", field="request")
                response = await self._match(request.request, path="request.")
                return pb.MatchProductsResponse(request_id=request.request_id, response=response)
            except Exception as error:  # the boundary: one offer's failure is its own answer
                status = status_of(error, f"{call_id}/{position}")
                return pb.MatchProductsResponse(request_id=request.request_id, error=status)

        async for response in answers_as_done(requests, answer, self._stream_in_flight_count):
            yield response

    async def _match(self, request: pb.MatchProductRequest, path: str) -> pb.MatchProductResponse:
        result = await self._matcher.match(request, path)
        return pb.MatchProductResponse(
            matches=[match_from_hit(hit) for hit in result.hits],
            pattern=modality_pattern(result.embedding.pattern),
            encoder=encoder_info(result.contract),
        )
