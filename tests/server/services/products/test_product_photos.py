"""Products with several photos: checked, embedded, matched by the best one, and updated."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import code_pb2, error_details_pb2

from tests.server.calls import catalog, detail, match, upsert
from tests.server.fake_encoder import BROKEN_IMAGE, FakeEncoder, make_contract
from twinshelf.v1 import catalog_service_pb2 as pb
from twinshelf.v1.product_pb2 import MODALITY_PATTERN_TEXT, Product

MUG = Product(product_id="mug", title="Mug", image=b"front", further_images=[b"back", b"top"])


async def update(
    channel: grpc.aio.Channel, product: Product, *paths: str
) -> pb.UpsertProductsResponse:
    request = pb.UpsertProductsRequest(product=product, update_mask=FieldMask(paths=paths))
    (answer,) = [each async for each in catalog(channel).UpsertProducts(iter([request]))]
    return answer


async def image_score(channel: grpc.aio.Channel, image: bytes) -> float:
    """Returns how alike the only product is to a photo."""
    (hit,) = (await match(channel, image=image)).matches
    return hit.image_score


async def count_photos(channel: grpc.aio.Channel) -> int:
    return (await catalog(channel).GetCatalogStats(pb.GetCatalogStatsRequest())).photo_count


async def test_an_offer_is_compared_to_every_photo(channel: grpc.aio.Channel) -> None:
    (answer,) = await upsert(channel, [MUG])
    assert answer.HasField("upserted")
    for image in (b"front", b"back", b"top"):
        assert await image_score(channel, image) == pytest.approx(1, abs=1e-3)
    assert await image_score(channel, b"another") < 0.9
    (both,) = (await match(channel, image=b"top", title="Mug")).matches
    assert (both.image_score, both.text_score) == pytest.approx((1, 1), abs=1e-3)
    got = await catalog(channel).GetProduct(pb.GetProductRequest(product_id="mug"))
    assert not got.product.further_images
    assert await count_photos(channel) == 3


@pytest.mark.parametrize(
    ("product", "field", "sentence"),
    [
        (Product(title="t", further_images=[b"x"]), "further_images", "need an image"),
        (Product(image=b"i", further_images=[b"x", b""]), "further_images", "empty bytes"),
        (Product(image=b"i", further_images=[b"x"] * 16), "further_images", "at most 15, got 16"),
        (
            Product(image=b"i", further_images=[b"x" * 40_000] * 2),
            "further_images",
            "together must be at most 65536 bytes, got 80001",
        ),
        (
            Product(image=b"i", further_images=[b"x", BROKEN_IMAGE]),
            "further_images[1]",
            "must be a JPEG",
        ),
    ],
)
async def test_photos_that_cannot_be_taken_are_refused_and_named(
    channel: grpc.aio.Channel, product: Product, field: str, sentence: str
) -> None:
    await upsert(channel, [MUG])
    product.product_id = "mug"
    (answer,) = await upsert(channel, [product])
    assert answer.error.code == code_pb2.INVALID_ARGUMENT
    assert sentence in answer.error.message
    violation = detail(answer.error, error_details_pb2.BadRequest).field_violations[0]
    assert violation.field == f"product.{field}"
    assert await count_photos(channel) == 3


async def test_an_update_changes_the_photos_that_it_names_alone(
    channel: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    await upsert(channel, [MUG])
    await update(channel, Product(product_id="mug", title="Cup", price=3), "title", "price")
    await update(channel, Product(product_id="mug", image=b"new front"), "image")
    for image in (b"new front", b"back", b"top"):
        assert await image_score(channel, image) == pytest.approx(1, abs=1e-3)
    answer = await update(channel, Product(product_id="mug"), "image")
    assert "need an image" in answer.error.message
    answer = await update(
        channel, Product(product_id="mug", further_images=[b"side"]), "further_images"
    )
    assert answer.HasField("upserted")
    assert await image_score(channel, b"new front") == pytest.approx(1, abs=1e-3)
    assert await image_score(channel, b"side") == pytest.approx(1, abs=1e-3)
    assert await image_score(channel, b"top") < 0.9
    assert await count_photos(channel) == 2
    (text,) = (await match(channel, title="Cup")).matches
    assert text.text_score == pytest.approx(1, abs=1e-3)

    encoder.current = make_contract("second", 2)
    answer = await update(channel, Product(product_id="mug", image=b"x"), "image")
    assert answer.error.code == code_pb2.FAILED_PRECONDITION
    encoder.current = make_contract()
    answer = await update(channel, Product(product_id="mug"), "image", "further_images")
    assert answer.upserted.pattern == MODALITY_PATTERN_TEXT
    assert await count_photos(channel) == 0
