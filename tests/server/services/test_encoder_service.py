"""EncoderService on two fake encoders: a new one without a gap, and back."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tests.server.calls import (
    catalog,
    code_of,
    encoders,
    match,
    match_request,
    matching,
    upsert,
)
from tests.server.fake_encoder import FakeEncoder, digest_of
from tests.server.services.second_encoder import (
    NEW,
    TEXTS,
    check_answers,
    reindex,
    states,
    switch,
)
from twinshelf.v1 import catalog_service_pb2, matching_service_pb2
from twinshelf.v1 import encoder_service_pb2 as pb
from twinshelf.v1.product_pb2 import Offer, Product


@pytest.mark.slow
async def test_a_switch_and_the_way_back_change_nothing_but_the_encoder(
    stocked: grpc.aio.Channel,
) -> None:
    await reindex(stocked)
    await check_answers(stocked, 1)
    await check_answers(stocked, 2, encoder_version=2)
    await check_answers(stocked, 2, encoder_digest=NEW)
    asked = matching_service_pb2.PredictCategoryRequest(
        offer=Offer(title="lamp 1"), encoder_version=2
    )
    assert (await matching(stocked).PredictCategory(asked)).encoder.digest == NEW
    changed = await switch(stocked, 2)
    assert (changed.previous.version, changed.serving.version) == (1, 2)
    await check_answers(stocked, 2)
    await check_answers(stocked, 1, encoder_version=1)
    # Writes reach both, whoever serves.
    await upsert(stocked, [Product(product_id="t3", title="lamp 99")])
    request = catalog_service_pb2.UpsertProductsRequest(
        product=Product(product_id="i1", title="cup 1", price=3)
    )
    for paths in (["price"], ["title"]):
        request.update_mask.paths[:] = paths
        async for answer in catalog(stocked).UpsertProducts(iter([request])):
            assert answer.WhichOneof("result") == "upserted"
    for version in (2, 1):
        await switch(stocked, version)
        for title, product_id in (("lamp 99", "t3"), ("cup 1", "i1")):
            answer = await match(stocked, title=title)
            assert (answer.encoder.version, answer.matches[0].product.product_id) == (
                version,
                product_id,
            )
            assert answer.matches[0].score == pytest.approx(1, abs=2e-3)


@pytest.mark.slow
async def test_one_that_is_away_hinders_nobody_from_the_other(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    await reindex(stocked)
    encoder.is_away = True
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while True:  # until the watch has seen it
            await match(stocked, title="lamp 3")
            await asyncio.sleep(0.02)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    await check_answers(stocked, 2, encoder_version=2)
    answer = await switch(stocked, 2)
    assert (answer.serving.version, answer.previous.digest) == (2, encoder.current.digest)


@pytest.mark.slow
async def test_dropping_ends_what_can_be_asked_for(stocked: grpc.aio.Channel) -> None:
    await reindex(stocked)
    assert (
        await code_of(encoders(stocked).DropEncoder(pb.DropEncoderRequest(encoder_version=1)))
        is grpc.StatusCode.FAILED_PRECONDITION
    )
    await switch(stocked, 2)
    other = pb.DropEncoderRequest(encoder_digest=digest_of("first"), encoder_version=7)
    assert await code_of(encoders(stocked).DropEncoder(other)) is grpc.StatusCode.NOT_FOUND
    dropped = await encoders(stocked).DropEncoder(pb.DropEncoderRequest(encoder_version=1))
    assert dropped.dropped_product_count == 15
    await check_answers(stocked, 2)
    assert (
        await code_of(match(stocked, title="lamp 1", encoder_version=1))
        is grpc.StatusCode.FAILED_PRECONDITION
    )
    assert await code_of(switch(stocked, 1)) is grpc.StatusCode.FAILED_PRECONDITION
    assert (await states(stocked))[NEW].is_serving


@pytest.mark.slow
async def test_live_matches_are_compared_before_the_switch(stocked: grpc.aio.Channel) -> None:
    compare = encoders(stocked).CompareEncoders
    await match(stocked, title="lamp 1")
    assert not (await compare(pb.CompareEncodersRequest())).HasField("other")
    await reindex(stocked)
    await match(stocked, title="lamp 1", match_count=1)
    while not (report := await compare(pb.CompareEncodersRequest())).query_count:
        await asyncio.sleep(0.01)
    assert (report.serving.version, report.other.version) == (1, 2)
    assert (report.mean_overlap, report.same_best_share) == (1, 1)
    assert report.mean_score_shift == pytest.approx(0, abs=2e-3)
    await match(stocked, title="nothing like it", match_count=5)
    while (report := await compare(pb.CompareEncodersRequest())).query_count < 2:
        await asyncio.sleep(0.01)
    assert report.mean_overlap < 1  # hashed: unlike things are alike by chance
    await switch(stocked, 2)
    assert (await compare(pb.CompareEncodersRequest())).query_count == 0


@pytest.mark.parametrize("method", ["Reindex", "SwitchEncoder", "DropEncoder"])
async def test_an_encoder_that_is_not_there_is_refused(
    stocked: grpc.aio.Channel, method: str
) -> None:
    call, request = getattr(encoders(stocked), method), getattr(pb, f"{method}Request")
    assert await code_of(call(request())) is grpc.StatusCode.INVALID_ARGUMENT
    assert await code_of(call(request(encoder_version=9))) is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request(encoder_digest="x"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    hint = "--other-triton HOST:PORT, or --encoder local --other-version N"
    assert (hint in (caught.value.details() or "")) == (method != "DropEncoder")


@pytest.mark.slow
async def test_nothing_fails_and_nothing_is_mixed_under_load(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    is_over = False
    versions: set[int] = set()

    async def ask(number: int) -> None:
        while not is_over:
            n = number % len(TEXTS)
            number += 1
            answer = await matching(stocked).MatchProduct(match_request(title=f"lamp {n}"))
            best = answer.matches[0]
            assert (best.product.product_id, round(best.score, 2)) == (f"t{n}", 1.0)
            versions.add(answer.encoder.version)

    async def write(number: int) -> None:
        while not is_over:
            number += 1
            product = Product(product_id=f"w{number % 7}", title=f"vase {number}")
            (answer,) = await upsert(stocked, [product])
            assert answer.WhichOneof("result") == "upserted", answer

    tasks = [asyncio.ensure_future(each) for each in (*map(ask, range(6)), write(0), write(3))]
    await reindex(stocked)
    for _ in range(4):
        for version in (2, 1):
            while True:
                try:
                    await switch(stocked, version)
                    break
                except grpc.aio.AioRpcError as error:  # a write has yet to reach it
                    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            await asyncio.sleep(0.05)
    is_over = True
    await asyncio.gather(*tasks)
    assert versions == {1, 2}
