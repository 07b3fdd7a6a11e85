"""Matches that hold on to an encoder while another one is switched to, or theirs is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from tests.server.calls import (
    code_of,
    encoders,
    error_info,
    match_request,
    matching,
    serving,
    upsert,
)
from tests.server.fake_encoder import FakeEncoder
from tests.server.services.second_encoder import SecondEncoder, states, switch, wait_for_missing
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.v1 import encoder_service_pb2 as pb
from twinshelf.v1.matching_service_pb2 import MatchProductResponse
from twinshelf.v1.product_pb2 import Product

pytestmark = pytest.mark.slow
COUNT = 60


@pytest.fixture
async def both(
    config: ServerConfig, encoder: FakeEncoder, second: SecondEncoder
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service of which both encoders have embedded long products."""
    long = "x" * 60_000
    async with serving(config, encoder, second) as channel:
        for start in range(0, COUNT, 20):
            await upsert(
                channel,
                [
                    Product(product_id=f"p{i}", title=f"mug {i}", description=long)
                    for i in range(start, start + 20)
                ],
            )
        await encoders(channel).Reindex(pb.ReindexRequest(encoder_version=2))
        await wait_for_missing(channel, 0)
        yield channel


def ids_of(answer: MatchProductResponse) -> list[str]:
    return [each.product.product_id for each in answer.matches]


async def test_the_pages_of_an_answer_are_of_one_encoder_though_another_is_switched_to(
    both: grpc.aio.Channel,
) -> None:
    request = match_request(title="mug", match_count=COUNT)
    answer = await matching(both).MatchProduct(request)
    found = ids_of(answer)
    await switch(both, 2)
    while answer.next_page_token:
        request.page_token = answer.next_page_token
        answer = await matching(both).MatchProduct(request)
        assert answer.encoder.version == 1
        found += ids_of(answer)
    assert sorted(found) == sorted(f"p{i}" for i in range(COUNT))

    request.page_token = ""
    request.encoder_version = 1
    request.page_token = (await matching(both).MatchProduct(request)).next_page_token
    await encoders(both).DropEncoder(pb.DropEncoderRequest(encoder_version=1))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await matching(both).MatchProduct(request)
    assert error_info(caught.value).reason == "ENCODER_MISMATCH"


async def test_no_match_is_answered_from_what_is_left_of_a_dropped_encoder(
    both: grpc.aio.Channel, second: SecondEncoder
) -> None:
    is_asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: list[EncoderInput]) -> None:
        is_asked.set()
        await may_go_on.wait()

    second.gate = hold
    pinned = asyncio.ensure_future(
        code_of(matching(both).MatchProduct(match_request(title="mug 3", encoder_version=2)))
    )
    await is_asked.wait()
    await encoders(both).DropEncoder(pb.DropEncoderRequest(encoder_version=2))
    assert (await states(both))[second.contract.digest].embedded_product_count == 0
    may_go_on.set()
    assert await pinned is grpc.StatusCode.FAILED_PRECONDITION
