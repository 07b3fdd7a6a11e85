"""EncoderService on two fake encoders: a new one without a gap, and back."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest

from tests.server.calls import (
    catalog,
    code_of,
    encoders,
    error_info,
    match,
    match_request,
    matching,
    serving,
    upsert,
)
from tests.server.fake_encoder import UNKNOWN_TEXT, FakeEncoder, as_read, digest_of
from tests.server.services.products.test_thumbnails import photo as make_photo
from tests.server.services.second_encoder import (
    NEW,
    PHOTOS,
    TEXTS,
    SecondEncoder,
    check_answers,
    reindex,
    send_again,
    states,
    switch,
    wait_for_missing,
)
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import EncoderFailedError, TwinshelfError
from twinshelf.server.services.products import reindexer
from twinshelf.v1 import catalog_service_pb2, matching_service_pb2
from twinshelf.v1 import encoder_service_pb2 as pb
from twinshelf.v1.product_pb2 import Offer, Product


@pytest.fixture
def second() -> SecondEncoder:
    return SecondEncoder()


@pytest.fixture
async def stocked(
    config: ServerConfig, encoder: FakeEncoder, second: SecondEncoder
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service with both encoders, of which the first has embedded the products."""
    async with serving(replace(config, shadow_share=1.0), encoder, second) as channel:
        await upsert(channel, [*TEXTS, *PHOTOS])
        yield channel


@pytest.mark.slow
async def test_texts_come_from_the_store_and_photos_are_sent_again(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    before = len(encoder.texts)
    await encoders(stocked).Reindex(pb.ReindexRequest(encoder_version=2))
    await wait_for_missing(stocked, 3)
    state = (await states(stocked))[NEW]
    assert (state.embedded_product_count, state.waiting_product_count) == (12, 3)
    assert state.is_kept and state.is_reached and not state.is_serving
    assert len(encoder.texts) == before  # the one that serves had nothing to do
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await switch(stocked, 2)
    assert error_info(caught.value).reason == "ENCODER_CONFLICT"
    assert error_info(caught.value).metadata["missing_product_count"] == "3"
    answers = await send_again(
        stocked, [*PHOTOS[:2], Product(product_id="i2"), Product(product_id="x"), TEXTS[0]]
    )
    assert [each.WhichOneof("result") for each in answers] == [
        "reindexed", "reindexed", "error", "error", "reindexed",
    ]  # fmt: skip
    assert "photo" in answers[2].error.message
    assert answers[4].reindexed.was_embedded
    (again, last) = await send_again(stocked, PHOTOS[1:])
    assert (again.reindexed.was_embedded, last.reindexed.was_embedded) == (True, False)
    stored = await catalog(stocked).GetProduct(
        catalog_service_pb2.GetProductRequest(product_id="i0")
    )
    assert stored.encoder_digest == digest_of("first")


@pytest.mark.slow
async def test_a_caller_who_leaves_while_a_product_is_embedded_is_in_the_audit_log(
    stocked: grpc.aio.Channel, second: SecondEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    await encoders(stocked).Reindex(pb.ReindexRequest(encoder_version=2))
    await wait_for_missing(stocked, len(PHOTOS))
    is_asked = asyncio.Event()

    async def hold(_: list[EncoderInput]) -> None:
        is_asked.set()
        await asyncio.Event().wait()

    second.gate = hold
    call = encoders(stocked).ReindexProducts(iter([pb.ReindexProductsRequest(product=PHOTOS[0])]))
    async with asyncio.timeout(20):
        await is_asked.wait()
        caplog.set_level(logging.INFO, "twinshelf.audit")
        call.cancel()
        while not (noted := [each for each in caplog.records if each.name == "twinshelf.audit"]):
            await asyncio.sleep(0.01)
    second.gate = None
    line = json.loads(noted[0].getMessage())
    assert (line["outcome"], line["product_ids"]) == ("CANCELLED", ["i0"])
    assert line["method"] == "/twinshelf.v1.EncoderService/ReindexProducts"


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
async def test_a_reindex_that_is_dropped_and_begun_again_begins_at_once(
    stocked: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindexer, "_REST_SHARE", 1e9)
    await encoders(stocked).Reindex(pb.ReindexRequest(encoder_version=2))
    async with asyncio.timeout(60):  # else it would rest for ever
        while not (await states(stocked))[NEW].waiting_product_count:
            await asyncio.sleep(0.02)
        await asyncio.sleep(1.2)  # a look that embeds nothing, after which it rests
        await encoders(stocked).DropEncoder(pb.DropEncoderRequest(encoder_version=2))
        await encoders(stocked).Reindex(pb.ReindexRequest(encoder_version=2))
        await wait_for_missing(stocked, len(PHOTOS))
    assert (await states(stocked))[NEW].embedded_product_count == len(TEXTS)


@pytest.mark.slow
async def test_a_product_that_the_new_encoder_fails_on_holds_up_no_other(
    stocked: grpc.aio.Channel, second: SecondEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = second.embed

    def fail_on_one(row: EncoderInput) -> OfferEmbedding | TwinshelfError:
        if row.text and as_read(row.text).endswith("lamp 0"):
            return EncoderFailedError("no embedding came")
        return embed(row)

    monkeypatch.setattr(second, "embed", fail_on_one)
    await encoders(stocked).Reindex(pb.ReindexRequest(encoder_version=2))
    await wait_for_missing(stocked, len(PHOTOS) + 1)
    while not (state := (await states(stocked))[NEW]).failed_product_count:
        await asyncio.sleep(0.02)
    assert [each.product_id for each in state.failures] == ["t0"]


@pytest.mark.slow
async def test_all_photos_of_a_product_are_sent_again_and_kept_by_updates(
    stocked: grpc.aio.Channel,
) -> None:
    many = Product(
        product_id="many", title="set", image=b"front", further_images=[b"back", b"side"]
    )
    await upsert(stocked, [many])
    await encoders(stocked).Reindex(pb.ReindexRequest(encoder_version=2))
    await wait_for_missing(stocked, 4)
    few = Product(product_id="many", image=b"front", further_images=[b"back"])
    (answer,) = await send_again(stocked, [few])
    assert "must be 2, got 1" in answer.error.message
    await send_again(stocked, [many, *PHOTOS])
    await switch(stocked, 2)
    request = catalog_service_pb2.UpsertProductsRequest(
        product=Product(product_id="many", title="pair", further_images=[b"top"])
    )
    for paths, photos in (
        (["title"], [b"front", b"back", b"side"]),
        (["further_images"], [b"front", b"top"]),
    ):
        request.update_mask.paths[:] = paths
        async for stored in catalog(stocked).UpsertProducts(iter([request])):
            assert stored.WhichOneof("result") == "upserted"
        assert (await states(stocked))[digest_of("first")].missing_product_count == 0
        for version in (1, 2):
            for photo in photos:
                found = await match(stocked, image=photo, encoder_version=version)
                assert found.matches[0].product.product_id == "many"
                assert found.matches[0].score == pytest.approx(1, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("size_px", "left_count"), [(512, 1), (64, 2)])
async def test_large_thumbnails_serve_instead_of_photos(
    config: ServerConfig, encoder: FakeEncoder, second: SecondEncoder, size_px: int, left_count: int
) -> None:
    async with serving(replace(config, keep_thumbnails=size_px), encoder, second) as channel:
        photo = make_photo()
        one = Product(product_id="one", image=photo)
        two = Product(product_id="two", image=photo, further_images=[photo])
        await upsert(channel, [one, two, TEXTS[0]])
        await encoders(channel).Reindex(pb.ReindexRequest(encoder_version=2))
        await wait_for_missing(channel, left_count)


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
async def test_what_is_left_is_embedded_after_a_restart_of_the_server(
    config: ServerConfig, encoder: FakeEncoder, second: SecondEncoder
) -> None:
    async with serving(config, encoder, second) as channel:
        await upsert(channel, TEXTS)
        second.gate = lambda inputs: asyncio.sleep(0 if len(second.texts) < 5 else 60)
        await encoders(channel).Reindex(pb.ReindexRequest(encoder_version=2))
        while len(second.texts) < 5:
            await asyncio.sleep(0.01)
    done = len(second.texts)
    again = SecondEncoder()
    async with serving(config, encoder, again) as channel:
        await wait_for_missing(channel, 0)
        await switch(channel, 2)
    assert len(again.texts) <= len(TEXTS) - done + 4  # four were under way
    # Whoever starts next serves what was switched to, in whatever order the encoders are named.
    async with serving(config, encoder, again) as channel:
        assert (await match(channel, title="lamp 3")).encoder.version == 2


@pytest.mark.slow
async def test_a_product_that_the_new_encoder_refuses_is_named_and_not_tried_for_ever(
    config: ServerConfig, encoder: FakeEncoder, second: SecondEncoder
) -> None:
    async with serving(config, encoder, second) as channel:
        odd = Product(product_id="odd", description="x", title="y")
        await upsert(channel, [odd, TEXTS[0]])
        second.embed = lambda row: FakeEncoder.embed(  # type: ignore[method-assign]
            second, replace(row, text=UNKNOWN_TEXT if "y" in (row.text or "") else row.text)
        )
        await encoders(channel).Reindex(pb.ReindexRequest(encoder_version=2))
        await wait_for_missing(channel, 1)
        while not (state := (await states(channel))[NEW]).failed_product_count:
            await asyncio.sleep(0.02)
        assert [each.product_id for each in state.failures] == ["odd"]
        tries = len(second.texts)
        await asyncio.sleep(1.2)
        assert len(second.texts) == tries


async def fail() -> None:
    raise RuntimeError


@pytest.mark.slow
async def test_a_write_that_the_new_encoder_misses_waits_for_it(
    stocked: grpc.aio.Channel, second: SecondEncoder
) -> None:
    await reindex(stocked)
    second.is_away = True
    (answer,) = await upsert(stocked, [Product(product_id="late", title="late lamp")])
    assert answer.upserted.encoder.version == 1
    assert (await match(stocked, title="late lamp")).matches[0].product.product_id == "late"
    second.is_away = False
    await wait_for_missing(stocked, 0)
    second.gate = lambda inputs: fail()
    (answer,) = await upsert(stocked, [Product(product_id="later", title="later lamp")])
    assert answer.upserted.encoder.version == 1
    second.gate = None
    await wait_for_missing(stocked, 0)
    await switch(stocked, 2)
    assert (await match(stocked, title="late lamp")).matches[0].product.product_id == "late"


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
