"""MatchProducts of the MatchingService on a fake encoder: the answers of a stream of offers."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tests.server.calls import match_request, matching, upsert
from tests.server.fake_encoder import (
    BROKEN_IMAGE,
    FakeEncoder,
    as_read,
)
from tests.server.services.test_matching_service import PRODUCTS
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.v1 import matching_service_pb2


@pytest.fixture
async def stocked(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    await upsert(channel, PRODUCTS)
    return channel


async def test_a_stream_answers_each_offer_and_outlives_the_bad_ones(
    stocked: grpc.aio.Channel,
) -> None:
    offers = {
        "good": match_request(title="Blue mug"),
        "empty": match_request(),
        "broken": match_request(image=BROKEN_IMAGE),
        "crash": match_request(title="crash"),
        "also good": match_request(title="Red lamp", match_count=1),
    }
    requests = [
        matching_service_pb2.MatchProductsRequest(request_id=name, request=request)
        for name, request in offers.items()
    ]
    requests.append(matching_service_pb2.MatchProductsRequest(request_id="unset"))
    answers = {a.request_id: a async for a in matching(stocked).MatchProducts(iter(requests))}
    assert set(answers) == {*offers, "unset"}
    assert answers["good"].response.matches[0].product.product_id == "both"
    assert len(answers["also good"].response.matches) == 1
    invalid = grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert [answers[name].error.code for name in ("empty", "broken", "unset")] == [invalid] * 3
    assert answers["crash"].error.code == grpc.StatusCode.INTERNAL.value[0]
    assert "request.offer" in str(answers["empty"].error.details)


async def test_a_stream_answers_as_done_and_not_in_turn(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    opened = asyncio.Event()

    async def gate(inputs: list[EncoderInput]) -> None:
        if as_read(inputs[0].text or "") == "query: slow":
            await opened.wait()

    encoder.gate = gate
    requests = [
        matching_service_pb2.MatchProductsRequest(
            request_id=name, request=match_request(title=name)
        )
        for name in ("slow", "fast")
    ]
    order = []
    async for answer in matching(stocked).MatchProducts(iter(requests)):
        order.append(answer.request_id)
        opened.set()
    assert order == ["fast", "slow"]


@pytest.mark.slow
async def test_offers_of_a_stream_are_embedded_side_by_side_but_not_all_at_once(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    full = asyncio.Event()

    async def gate(inputs: list[EncoderInput]) -> None:
        if encoder.in_flight == 12:
            full.set()
        await full.wait()

    encoder.gate = gate
    requests = [
        matching_service_pb2.MatchProductsRequest(
            request_id=str(i), request=match_request(title=f"offer {i}")
        )
        for i in range(100)
    ]
    answers = [answer async for answer in matching(stocked).MatchProducts(iter(requests))]
    assert sorted(int(answer.request_id) for answer in answers) == list(range(100))
    assert 12 <= encoder.most_in_flight <= 32
