"""Updates by field mask: what changes, what is embedded again, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import code_pb2

from tests.server.calls import catalog, encoders, match, serving, upsert
from tests.server.fake_encoder import FakeEncoder, as_read, digest_of, make_contract
from tests.server.services.second_encoder import SecondEncoder
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.v1 import catalog_service_pb2 as pb
from twinshelf.v1.encoder_service_pb2 import ReindexRequest
from twinshelf.v1.product_pb2 import (
    MODALITY_PATTERN_BOTH,
    MODALITY_PATTERN_IMAGE,
    MODALITY_PATTERN_TEXT,
    Product,
)

MUG = Product(
    product_id="mug",
    title="Blue mug",
    seller="Shop",
    price=9.5,
    attributes={"colour": "blue", "stock": "3"},
    image=b"mug photo",
)


async def update(
    channel: grpc.aio.Channel, product: Product, *paths: str
) -> pb.UpsertProductsResponse:
    request = pb.UpsertProductsRequest(product=product, update_mask=FieldMask(paths=paths))
    (answer,) = [each async for each in catalog(channel).UpsertProducts(iter([request]))]
    return answer


async def get(channel: grpc.aio.Channel) -> Product:
    answer = await catalog(channel).GetProduct(pb.GetProductRequest(product_id="mug"))
    return answer.product


class Inputs:
    """What the encoder is given from now on."""

    def __init__(self, encoder: FakeEncoder) -> None:
        self.seen: list[EncoderInput] = []
        encoder.gate = self

    async def __call__(self, inputs: Sequence[EncoderInput]) -> None:
        self.seen += inputs


@pytest.fixture
async def stocked(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    (answer,) = await upsert(channel, [MUG])
    assert answer.HasField("upserted")
    return channel


async def test_fields_that_are_not_embedded_change_without_the_encoder(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    inputs = Inputs(encoder)
    change = Product(product_id="mug", price=3, seller="Other", title="never looked at")
    answer = await update(stocked, change, "price", "seller")
    assert answer.upserted.replaced
    assert answer.upserted.pattern == MODALITY_PATTERN_BOTH
    assert answer.upserted.encoder.digest == digest_of("first")
    assert inputs.seen == []
    got = await get(stocked)
    assert (got.price, got.seller, got.title) == (3, "Other", "Blue mug")
    assert got.attributes == MUG.attributes
    best = (await match(stocked, title="Blue mug", image=b"mug photo")).matches[0]
    assert best.pattern == MODALITY_PATTERN_BOTH
    answer = await update(stocked, Product(product_id="mug"), "price")
    assert not (await get(stocked)).HasField("price")


async def test_a_changed_text_is_embedded_again_and_the_photo_stays(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    inputs = Inputs(encoder)
    change = Product(product_id="mug", title="Red mug", attributes={"colour": "red"})
    await update(stocked, change, "title", "attributes.colour", "attributes.stock")
    assert [(each.image, as_read(each.text or "")) for each in inputs.seen] == [
        (None, "passage: Red mug | colour: red"),
    ]
    got = await get(stocked)
    assert got.attributes == {"colour": "red"}
    best = (await match(stocked, image=b"mug photo")).matches[0]
    assert best.image_score == pytest.approx(1, abs=1e-3)
    same = await match(stocked, title="Red mug", attributes={"colour": "red"})
    assert same.matches[0].text_score == pytest.approx(1, abs=1e-3)


async def test_a_photo_comes_and_goes_without_the_text(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    inputs = Inputs(encoder)
    await update(stocked, Product(product_id="mug", image=b"new photo"), "image")
    assert [(each.image, each.text) for each in inputs.seen] == [(b"new photo", None)]
    best = (await match(stocked, image=b"new photo")).matches[0]
    assert best.image_score == pytest.approx(1, abs=1e-3)
    answer = await update(stocked, Product(product_id="mug"), "image")
    assert answer.upserted.pattern == MODALITY_PATTERN_TEXT
    assert not (await match(stocked, image=b"new photo")).matches
    everything = ("title", "attributes")
    answer = await update(stocked, Product(product_id="mug"), *everything)
    assert answer.error.code == code_pb2.INVALID_ARGUMENT
    assert (await get(stocked)).title == "Blue mug"


async def test_a_text_may_go_when_a_photo_is_stored(stocked: grpc.aio.Channel) -> None:
    answer = await update(stocked, Product(product_id="mug"), "title", "attributes")
    assert answer.upserted.pattern == MODALITY_PATTERN_IMAGE
    assert not (await match(stocked, title="Blue mug")).matches


@pytest.mark.parametrize(
    "paths", [(), ("colour",), ("attributes.",), ("product_id",), ("pattern",)]
)
async def test_a_mask_that_names_no_field_is_refused(
    stocked: grpc.aio.Channel, paths: tuple[str, ...]
) -> None:
    answer = await update(stocked, Product(product_id="mug", title="x"), *paths)
    assert answer.error.code == code_pb2.INVALID_ARGUMENT
    assert (await get(stocked)).title == "Blue mug"


async def test_a_mask_names_no_more_than_there_may_be(
    stocked: grpc.aio.Channel, config: ServerConfig
) -> None:
    most = 10 + 2 * config.attribute_count_limit
    change = Product(product_id="mug", title="Red mug")
    refused = await update(stocked, change, *["title"] * (most + 1))
    assert refused.error.code == code_pb2.INVALID_ARGUMENT
    assert f"at most {most} fields, got {most + 1}" in refused.error.message
    assert (await update(stocked, change, *["title"] * most)).HasField("upserted")


async def test_a_missing_product_is_not_found_for_its_row_alone(
    stocked: grpc.aio.Channel,
) -> None:
    mask = FieldMask(paths=["price"])
    requests = [
        pb.UpsertProductsRequest(product=Product(product_id=name, price=1), update_mask=mask)
        for name in ("none", "mug")
    ]
    answers = [each async for each in catalog(stocked).UpsertProducts(iter(requests))]
    by_id = {answer.product_id: answer for answer in answers}
    assert by_id["none"].error.code == code_pb2.NOT_FOUND
    assert by_id["mug"].HasField("upserted")


async def test_updates_of_many_callers_at_once_are_all_kept(
    stocked: grpc.aio.Channel,
) -> None:
    names = [f"attributes.a{number}" for number in range(5)]
    await asyncio.gather(
        *(
            update(stocked, Product(product_id="mug", attributes={name[11:]: "x"}), name)
            for name in names
        )
    )
    assert {f"a{number}" for number in range(5)} <= set((await get(stocked)).attributes)


async def test_a_product_of_another_encoder_takes_what_needs_no_embedding(
    stocked: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.current = make_contract("second", 2)
    answer = await update(stocked, Product(product_id="mug", price=1), "price")
    assert answer.upserted.encoder.digest == digest_of("first")
    answer = await update(stocked, Product(product_id="mug", title="Red mug"), "title")
    assert answer.error.code == code_pb2.FAILED_PRECONDITION
    assert (await get(stocked)).title == "Blue mug"
    change = Product(product_id="mug", title="Red mug", image=b"photo")
    answer = await update(stocked, change, "title", "image")
    assert answer.upserted.encoder.digest == digest_of("second")


async def test_a_stale_product_that_is_being_reindexed_takes_its_text_unchanged(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    async with serving(config, encoder) as channel:
        await upsert(channel, [MUG])
    async with serving(config, SecondEncoder()) as channel:
        await encoders(channel).Reindex(ReindexRequest(encoder_version=2))
        change = Product(product_id="mug", title=MUG.title, price=3)
        answer = await update(channel, change, "title", "price")
        assert answer.upserted.encoder.digest == digest_of("first")
        assert (await get(channel)).price == 3


async def test_a_filter_finds_a_product_by_what_was_updated(stocked: grpc.aio.Channel) -> None:
    cheap = {"price": {"max": 5}}
    assert not (await match(stocked, title="Blue mug", filter=cheap)).matches
    await update(stocked, Product(product_id="mug", price=3), "price")
    assert len((await match(stocked, title="Blue mug", filter=cheap)).matches) == 1
