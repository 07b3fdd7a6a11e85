"""Thumbnails: made of every kind of photo, kept when asked for, and never worth a product."""

from __future__ import annotations

import dataclasses
import io

import grpc
import numpy as np
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from PIL import Image

from tests.server.calls import catalog, error_info, serving, upsert
from tests.server.fake_encoder import FakeEncoder
from twinshelf.server.config import ServerConfig
from twinshelf.server.services.products.thumbnails import Thumbnails
from twinshelf.v1 import catalog_service_pb2 as pb
from twinshelf.v1.product_pb2 import Product

RED, WHITE = (200, 20, 20), (255, 255, 255)
_ORIENTATION = 0x0112


def photo(kind: str = "JPEG", mode: str = "RGB", size: tuple[int, int] = (400, 200)) -> bytes:
    """Makes a photo of one colour; one with transparency is empty."""
    picture = Image.new(mode, size, RED if mode == "RGB" else 0)
    exif = Image.Exif()
    exif[_ORIENTATION] = 6 if kind == "JPEG" else 1  # to be turned by a quarter
    buffer = io.BytesIO()
    picture.save(buffer, kind, exif=exif)
    return buffer.getvalue()


def grey_of_16_bits(transparent: int | None) -> bytes:
    """Makes a photo of a dark grey, which may be the one that counts as transparent."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.full((200, 400), 0x2040, dtype=np.uint16))
    picture.save(buffer, "PNG", **({} if transparent is None else {"transparency": transparent}))
    return buffer.getvalue()


async def make(data: bytes, size_px: int = 64) -> Image.Image:
    thumbnails = Thumbnails(size_px)
    made = await thumbnails.make(data)
    thumbnails.close()
    picture = Image.open(io.BytesIO(made))
    assert (picture.format, picture.mode) == ("JPEG", "RGB")
    return picture


async def test_nothing_but_the_picture_is_kept_of_a_photo() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (400, 200), RED).save(buffer, "JPEG", comment=b"of a person", dpi=(72, 72))
    assert (await make(buffer.getvalue())).info.keys().isdisjoint({"comment", "exif", "dpi"})


@pytest.mark.parametrize(
    ("data", "size", "colour"),
    [
        (photo(), (32, 64), RED),
        (photo("WEBP"), (64, 32), RED),
        (photo("PNG", "RGBA"), (64, 32), WHITE),
        (photo("PNG", "L"), (64, 32), (0, 0, 0)),
        (grey_of_16_bits(None), (64, 32), (32, 32, 32)),
        (grey_of_16_bits(0x2040), (64, 32), WHITE),
        (photo("PNG", size=(20, 10)), (20, 10), RED),
    ],
)
async def test_photos_become_small_upright_and_opaque(
    data: bytes, size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    picture = await make(data)
    assert picture.size == size
    assert picture.getpixel((5, 5)) == pytest.approx(colour, abs=4)


async def test_of_what_is_no_photo_none_is_made() -> None:
    thumbnails = Thumbnails(64)
    for data in (b"", b"no photo", photo()[:300]):
        assert await thumbnails.make(data) == b""
    thumbnails.close()
    assert await Thumbnails(0).make(photo()) == b""


async def get(channel: grpc.aio.Channel) -> bytes:
    answer = await catalog(channel).GetThumbnail(pb.GetThumbnailRequest(product_id="p"))
    return answer.jpeg


async def assert_none(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await get(channel)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert error_info(caught.value).reason == "THUMBNAIL_NOT_FOUND"


async def test_thumbnails_are_kept_when_asked_for_and_follow_the_photo(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    async with serving(dataclasses.replace(config, keep_thumbnails=64), encoder) as channel:
        await assert_none(channel)
        (answer,) = await upsert(channel, [Product(product_id="p", title="t", image=photo())])
        assert answer.HasField("upserted")
        first = await get(channel)
        assert Image.open(io.BytesIO(first)).size == (32, 64)

        async def update(product: Product, path: str) -> None:
            request = pb.UpsertProductsRequest(product=product, update_mask=FieldMask(paths=[path]))
            (answer,) = [each async for each in catalog(channel).UpsertProducts(iter([request]))]
            assert answer.HasField("upserted")

        await update(Product(product_id="p", price=1), "price")
        assert await get(channel) == first
        await update(Product(product_id="p", image=photo("PNG")), "image")
        assert Image.open(io.BytesIO(await get(channel))).size == (64, 32)
        await update(Product(product_id="p"), "image")
        await assert_none(channel)
        await upsert(channel, [Product(product_id="p", image=b"taken by the encoder alone")])
        await assert_none(channel)


async def test_a_new_photo_leaves_no_thumbnail_of_the_old_one(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    product = Product(product_id="p", image=photo())
    async with serving(dataclasses.replace(config, keep_thumbnails=64), encoder) as channel:
        await upsert(channel, [product])
        assert await get(channel)
    async with serving(config, encoder) as channel:
        assert await get(channel)
        await upsert(channel, [product])
        await assert_none(channel)
