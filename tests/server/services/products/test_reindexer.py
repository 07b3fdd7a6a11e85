"""A new encoder embeds what the catalogue has: what is stored here, and what is sent again."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace

import grpc
import pytest

from tests.server.calls import (
    catalog,
    encoders,
    error_info,
    match,
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
    reindex,
    send_again,
    states,
    switch,
    wait_for_missing,
)
from twinshelf.server.catalogue.one_machine.catalogue_encoders import CatalogueEncoders
from twinshelf.server.catalogue.product_record import NewVector
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import EncoderFailedError, TwinshelfError
from twinshelf.server.services.products import reindexer
from twinshelf.v1 import catalog_service_pb2
from twinshelf.v1 import encoder_service_pb2 as pb
from twinshelf.v1.product_pb2 import Product


async def fail() -> None:
    raise RuntimeError


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


async def test_a_reindex_before_the_watch_has_read_keeps_the_one_that_serves(
    config: ServerConfig, second: SecondEncoder
) -> None:
    class Unread(FakeEncoder):
        async def refresh(self) -> EncoderContract:
            await asyncio.Event().wait()
            return self.contract

    async with serving(config, Unread(), second) as channel:
        await encoders(channel).Reindex(pb.ReindexRequest(encoder_version=2))
        both = {digest: each.is_serving for digest, each in (await states(channel)).items()}
        kept = [digest for digest, each in (await states(channel)).items() if each.is_kept]
    assert both == {digest_of("first"): True, NEW: False} and set(kept) == set(both)


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


async def test_writes_that_take_long_are_made_together_and_few_products_are_embedded_at_once(
    config: ServerConfig,
    encoder: FakeEncoder,
    second: SecondEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add, waiting_count, most_waiting = CatalogueEncoders.add, 0, 0

    async def add_slowly(catalogue_encoders: CatalogueEncoders, vector: NewVector) -> None:
        """Writes as slowly as Milvus."""
        nonlocal waiting_count, most_waiting
        waiting_count += 1
        most_waiting = max(most_waiting, waiting_count)
        await asyncio.sleep(0.3)
        await add(catalogue_encoders, vector)
        waiting_count -= 1

    monkeypatch.setattr(CatalogueEncoders, "add", add_slowly)
    async with serving(config, encoder, second) as channel:
        await upsert(channel, TEXTS)
        await encoders(channel).Reindex(pb.ReindexRequest(encoder_version=2))
        async with asyncio.timeout(20):
            await wait_for_missing(channel, 0)
    assert most_waiting == len(TEXTS) > reindexer._AT_ONCE
    assert second.most_in_flight <= reindexer._AT_ONCE
