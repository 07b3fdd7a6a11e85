"""A second encoder beside the first, and what tests of the EncoderService ask of both."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from tests.server.calls import (
    encoders,
    match,
)
from tests.server.fake_encoder import UNKNOWN_TEXT, FakeEncoder, digest_of, make_contract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import TwinshelfError
from twinshelf.v1 import encoder_service_pb2 as pb
from twinshelf.v1.product_pb2 import Product

NEW = digest_of("second")


TEXTS = [Product(product_id=f"t{n}", title=f"lamp {n}") for n in range(12)]


PHOTOS = [Product(product_id=f"i{n}", title=f"mug {n}", image=b"mug %d" % n) for n in range(3)]


class SecondEncoder(FakeEncoder):
    """Embeds otherwise than the first, and longer: a mix of both would fail, or score low."""

    def __init__(self) -> None:
        super().__init__(make_contract("second", 2, text_dim=24, embedding_dim=40))

    def embed(self, row: EncoderInput) -> OfferEmbedding | TwinshelfError:
        return super().embed(
            EncoderInput(
                image=row.image and b"second" + row.image,
                text=row.text if row.text in (None, UNKNOWN_TEXT) else f"{row.text} again",
            )
        )


async def states(channel: grpc.aio.Channel) -> dict[str, pb.EncoderState]:
    answer = await encoders(channel).ListEncoders(pb.ListEncodersRequest())
    return {state.encoder.digest: state for state in answer.encoders}


async def wait_for_missing(channel: grpc.aio.Channel, count: int) -> None:
    while (await states(channel))[NEW].missing_product_count != count:
        await asyncio.sleep(0.02)


async def send_again(
    channel: grpc.aio.Channel, products: list[Product]
) -> list[pb.ReindexProductsResponse]:
    requests = [pb.ReindexProductsRequest(product=product) for product in products]
    answers = [each async for each in encoders(channel).ReindexProducts(iter(requests))]
    return sorted(answers, key=lambda answer: answer.request_index)


async def reindex(channel: grpc.aio.Channel) -> None:
    await encoders(channel).Reindex(pb.ReindexRequest(encoder_version=2))
    await wait_for_missing(channel, len(PHOTOS))
    await send_again(channel, PHOTOS)


async def switch(channel: grpc.aio.Channel, version: int) -> pb.SwitchEncoderResponse:
    return await encoders(channel).SwitchEncoder(pb.SwitchEncoderRequest(encoder_version=version))


async def check_answers(channel: grpc.aio.Channel, version: int, **options: Any) -> None:
    """Checks that offers find their own products, by the vectors of one encoder alone."""
    for offer in ({"title": "lamp 3"}, {"title": "mug 1"}, {"image": b"mug 1"}):
        answer = await match(channel, **offer, **options)
        assert answer.encoder.version == version
        assert answer.matches[0].score == pytest.approx(1, abs=2e-3)  # fp16
