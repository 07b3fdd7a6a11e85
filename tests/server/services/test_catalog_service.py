"""CatalogService on a fake encoder: what is stored, listed, counted and refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import grpc
import numpy as np
import pytest

from tests.server.calls import catalog, error_info, match, serving, upsert, violated_field
from tests.server.fake_encoder import BROKEN_IMAGE, FakeEncoder, digest_of, make_contract
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.services import catalog_service
from twinshelf.server.serving import create_server
from twinshelf.v1 import catalog_service_pb2 as pb
from twinshelf.v1.product_pb2 import (
    MODALITY_PATTERN_BOTH,
    MODALITY_PATTERN_IMAGE,
    Product,
)

FULL = Product(
    product_id="продукт 1",
    title="Кружка",
    description="<b>300 ml</b>",
    category="Kitchen/Mugs",
    brand="Acme",
    seller="Shop",
    price=9.5,
    attributes={"colour": "blue", "volume": "300 ml"},
    image=b"photo",
    image_uri="mug.jpg",
)


async def list_all(channel: grpc.aio.Channel, page_size: int) -> list[list[str]]:
    pages, token = [], ""
    while True:
        request = pb.ListProductsRequest(page_size=page_size, page_token=token)
        answer = await catalog(channel).ListProducts(request)
        pages.append([product.product_id for product in answer.products])
        token = answer.next_page_token
        if not token:
            return pages


async def test_what_is_stored_comes_back_without_the_photo(channel: grpc.aio.Channel) -> None:
    (answer,) = await upsert(channel, [FULL])
    assert answer.product_id == FULL.product_id
    assert answer.upserted.pattern == MODALITY_PATTERN_BOTH
    assert not answer.upserted.replaced
    assert answer.upserted.encoder.digest == digest_of("first")
    got = await catalog(channel).GetProduct(pb.GetProductRequest(product_id=FULL.product_id))
    assert got.encoder_digest == digest_of("first")
    assert got.product.pattern == MODALITY_PATTERN_BOTH
    assert got.product.update_time.seconds > 0
    got.product.ClearField("pattern")
    got.product.ClearField("update_time")
    expected = Product()
    expected.CopyFrom(FULL)
    expected.ClearField("image")
    assert got.product == expected


async def test_embeddings_are_unit_rows_of_those_that_are_there(
    channel: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    await upsert(channel, [FULL, Product(product_id="text", title="mug")])
    request = pb.GetEmbeddingsRequest(product_ids=["absent", FULL.product_id, "text"])
    answer = await catalog(channel).GetEmbeddings(request)
    assert answer.encoder.digest == digest_of("first")
    both, text = sorted(answer.embeddings, key=lambda each: not each.image)
    assert (both.product_id, text.product_id) == (FULL.product_id, "text")
    assert len(both.image) == encoder.contract.image_dimension and not text.image
    for half in (both.image, both.text, text.text):
        assert np.linalg.norm(half) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("count", [0, 257])
async def test_embeddings_of_none_or_too_many_are_refused(
    channel: grpc.aio.Channel, count: int
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog(channel).GetEmbeddings(
            pb.GetEmbeddingsRequest(product_ids=map(str, range(count)))
        )
    assert violated_field(caught.value) == "product_ids"


async def test_a_product_is_replaced_as_a_whole(channel: grpc.aio.Channel) -> None:
    await upsert(channel, [FULL])
    (answer,) = await upsert(channel, [Product(product_id=FULL.product_id, image=b"new photo")])
    assert answer.upserted.replaced
    got = await catalog(channel).GetProduct(pb.GetProductRequest(product_id=FULL.product_id))
    assert got.product.title == ""
    assert not got.product.HasField("price")
    assert got.product.pattern == MODALITY_PATTERN_IMAGE
    best = (await match(channel, image=b"new photo")).matches[0]
    assert best.score == pytest.approx(1, abs=1e-3)
    assert not (await match(channel, title="Кружка")).matches


@pytest.mark.slow
async def test_repeats_of_one_id_in_a_stream_end_with_the_last(
    channel: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    async def gate(inputs: list[EncoderInput]) -> None:
        # The earlier in the stream, the longer it takes.
        for _ in range(60 - 2 * int((inputs[0].text or "").split()[-1])):
            await asyncio.sleep(0)

    encoder.gate = gate
    products = [Product(product_id=f"p{i % 3}", title=f"title {i}") for i in range(30)]
    answers = await upsert(channel, products)
    assert [answer.upserted.replaced for answer in answers] == [i >= 3 for i in range(30)]
    for i in (27, 28, 29):
        got = await catalog(channel).GetProduct(pb.GetProductRequest(product_id=f"p{i % 3}"))
        assert got.product.title == f"title {i}"


async def test_a_bad_product_fails_alone_and_leaves_what_stood_there(
    channel: grpc.aio.Channel,
) -> None:
    await upsert(channel, [Product(product_id="kept", title="old")])
    answers = await upsert(
        channel,
        [
            Product(product_id="kept", image=BROKEN_IMAGE),
            Product(product_id="good", title="good"),
            Product(product_id="crash", title="crash"),
            Product(title="no id"),
            Product(product_id="empty", seller="Shop", price=1),
        ],
    )
    invalid = grpc.StatusCode.INVALID_ARGUMENT.value[0]
    codes = [answer.error.code if answer.HasField("error") else None for answer in answers]
    internal = grpc.StatusCode.INTERNAL.value[0]
    assert codes == [invalid, None, internal, invalid, invalid]
    assert "secret" not in str(answers[2])
    got = await catalog(channel).GetProduct(pb.GetProductRequest(product_id="kept"))
    assert got.product.title == "old"


@pytest.mark.parametrize(
    ("product", "sentence"),
    [
        (Product(product_id="x" * 257, title="t"), "1 to 256 bytes of UTF-8, got 257"),
        (Product(product_id="я" * 129, title="t"), "1 to 256 bytes of UTF-8, got 258"),
        (Product(product_id="p", title="t", price=-1), "price must be zero or more, got -1"),
        (Product(product_id="p", title="t", price=float("nan")), "got nan"),
        (Product(product_id="p", title="t", price=float("inf")), "got inf"),
        (Product(product_id="p", title="t", seller="x" * 65536), "at most 65536 bytes of UTF-8"),
        (Product(product_id="p", image=b"x" * 65537), "at most 65536 bytes, got 65537"),
        (
            Product(product_id="p", attributes={str(i): "x" for i in range(300)}),
            "at most 256, got 300",
        ),
    ],
)
async def test_products_out_of_range_are_refused(
    channel: grpc.aio.Channel, product: Product, sentence: str
) -> None:
    (answer,) = await upsert(channel, [product])
    assert answer.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert sentence in answer.error.message


async def test_an_identifier_that_is_too_long_breaks_its_row_alone(
    channel: grpc.aio.Channel,
) -> None:
    names = ["a", "x" * 1_000_000, "b"]
    answers = await upsert(channel, [Product(product_id=name, title="t") for name in names])
    assert [answer.product_id for answer in answers] == ["a", "", "b"]
    assert [answer.HasField("upserted") for answer in answers] == [True, False, True]


async def test_pages_hold_every_product_once_by_rising_id(channel: grpc.aio.Channel) -> None:
    names = ["b", "a", "c", "B", "я", "aa", "a b"]
    await upsert(channel, [Product(product_id=name, title=name) for name in names])
    assert await list_all(channel, 3) == [["B", "a", "a b"], ["aa", "b", "c"], ["я"]]
    assert await list_all(channel, 7) == [sorted(names)]
    assert await list_all(channel, 0) == [sorted(names)]


@pytest.mark.slow
async def test_pages_of_long_texts_stay_below_the_message_limit_of_clients(
    channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, asked_counts = SqliteCatalogue.products_after, []

    def count(catalogue: SqliteCatalogue, product_id: str, count: int) -> Awaitable[object]:
        asked_counts.append(count)
        return read(catalogue, product_id, count)

    monkeypatch.setattr(SqliteCatalogue, "products_after", count)
    monkeypatch.setattr(catalog_service, "_LISTED_AT_ONCE", 32)
    products = [
        Product(product_id=f"{i:03}", title="t", description="x" * 60_000) for i in range(80)
    ]
    await upsert(channel, products)
    request = pb.ListProductsRequest(page_size=1000)
    answer = await catalog(channel).ListProducts(request)
    assert answer.ByteSize() < 4 * 1024 * 1024
    assert answer.next_page_token
    pages = await list_all(channel, 1000)
    assert [name for page in pages for name in page] == [f"{i:03}" for i in range(80)]
    assert max(asked_counts) == 32  # else a page of long products takes 64 MiB


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListProductsRequest(page_size=-1), "page_size"),
        (pb.ListProductsRequest(page_size=1001), "page_size"),
        (pb.ListProductsRequest(page_token="nonsense"), "page_token"),
        (pb.ListProductsRequest(page_token="AAAA"), "page_token"),
        (pb.ListProductsRequest(page_token="é"), "page_token"),
    ],
)
async def test_unusable_pages_are_refused(
    channel: grpc.aio.Channel, request_: pb.ListProductsRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog(channel).ListProducts(request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violated_field(caught.value) == field


async def test_an_unknown_product_is_not_found(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog(channel).GetProduct(pb.GetProductRequest(product_id="nowhere"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "'nowhere'" in (caught.value.details() or "")
    assert error_info(caught.value).reason == "PRODUCT_NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog(channel).GetProduct(pb.GetProductRequest())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_deleting_removes_from_store_and_index_and_reports_the_missing(
    channel: grpc.aio.Channel,
) -> None:
    await upsert(channel, [Product(product_id=name, title=name) for name in ("a", "b", "c")])
    request = pb.DeleteProductsRequest(product_ids=["a", "unknown", "c", "a"])
    answer = await catalog(channel).DeleteProducts(request)
    assert answer.deleted_count == 2
    assert list(answer.missing_product_ids) == ["unknown"]
    assert [m.product.product_id for m in (await match(channel, title="a")).matches] == ["b"]
    assert await list_all(channel, 10) == [["b"]]
    again = await catalog(channel).DeleteProducts(request)
    assert again.deleted_count == 0


@pytest.mark.parametrize("product_ids", [[], ["x"] * 10_001, [""], ["x" * 257]])
async def test_unusable_deletions_are_refused(
    channel: grpc.aio.Channel, product_ids: list[str]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await catalog(channel).DeleteProducts(pb.DeleteProductsRequest(product_ids=product_ids))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_stats_count_products_modalities_and_stale_ones(
    channel: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    await upsert(
        channel,
        [
            Product(product_id="both", title="t", image=b"i"),
            Product(product_id="image", image=b"i"),
            Product(product_id="text", title="t"),
        ],
    )
    await catalog(channel).DeleteProducts(pb.DeleteProductsRequest(product_ids=["text"]))
    stats = await _stats_with_index(channel)
    assert (stats.product_count, stats.image_count, stats.text_count) == (2, 2, 1)
    assert (stats.stale_product_count, stats.indexed_vector_count) == (0, 2)
    assert stats.embedding_dimension == 32
    assert stats.change_sequence == 4 and stats.history_id
    assert stats.encoder.digest == digest_of("first")
    encoder.current = make_contract("second", 2)
    await upsert(channel, [Product(product_id="image", image=b"i")])
    stats = await catalog(channel).GetCatalogStats(pb.GetCatalogStatsRequest())
    assert stats.stale_product_count == 1


async def test_reading_needs_no_encoder(channel: grpc.aio.Channel, encoder: FakeEncoder) -> None:
    await upsert(channel, [FULL])
    encoder.is_away = True
    assert (await catalog(channel).GetCatalogStats(pb.GetCatalogStatsRequest())).product_count == 1
    await catalog(channel).GetProduct(pb.GetProductRequest(product_id=FULL.product_id))
    (answer,) = await upsert(channel, [FULL])
    assert answer.error.code == grpc.StatusCode.UNAVAILABLE.value[0]


async def test_a_snapshot_is_written_on_demand(
    channel: grpc.aio.Channel, config: ServerConfig
) -> None:
    await upsert(channel, [FULL])
    await _stats_with_index(channel)
    answer = await catalog(channel).Snapshot(pb.SnapshotRequest())
    assert (answer.vector_count, answer.change_sequence) == (1, 1)
    assert list(config.catalogue.glob("index-*/manifest.json"))


async def test_a_catalogue_outlives_the_server(config: ServerConfig) -> None:
    for title in ("old", "new"):
        encoder = FakeEncoder()
        async with serving(config, encoder) as channel:
            if title == "new":
                best = (await match(channel, title="old")).matches[0]
                assert best.product.product_id == "p"
                assert best.score == pytest.approx(1, abs=1e-3)
            await upsert(channel, [Product(product_id="p", title=title)])


async def test_changes_are_told_as_they_come(channel: grpc.aio.Channel) -> None:
    request = pb.WatchChangesRequest(includes_products=True)
    watch = aiter(catalog(channel).WatchChanges(request))
    await upsert(channel, [FULL])
    (change,) = (await anext(watch)).changes
    assert (change.change_sequence, change.kind) == (1, pb.CHANGE_KIND_UPSERTED)
    assert change.product.attributes == FULL.attributes
    assert change.product_id == change.product.product_id == FULL.product_id
    product_ids = [FULL.product_id]
    await catalog(channel).DeleteProducts(pb.DeleteProductsRequest(product_ids=product_ids))
    (change,) = (await anext(watch)).changes
    assert (change.change_sequence, change.kind) == (2, pb.CHANGE_KIND_DELETED)
    assert change.product_id == FULL.product_id
    assert not change.HasField("product")


@pytest.mark.slow
async def test_changes_of_long_products_come_in_messages_that_any_client_takes(
    channel: grpc.aio.Channel,
) -> None:
    names = [f"{i:03}" for i in range(70)]
    await upsert(
        channel, [Product(product_id=name, title="t", description="x" * 60_000) for name in names]
    )
    found: list[str] = []
    sizes = []
    async for answer in catalog(channel).WatchChanges(
        pb.WatchChangesRequest(includes_products=True)
    ):
        sizes.append(answer.ByteSize())
        found += [change.product.product_id for change in answer.changes]
        if len(found) == len(names):
            break
    assert sorted(found) == names
    assert max(sizes) < 1.1 * 1024 * 1024
    short = await anext(aiter(catalog(channel).WatchChanges(pb.WatchChangesRequest())))
    assert len(short.changes) == 32


@pytest.mark.parametrize(
    ("from_sequence", "code", "reason"),
    [
        (-1, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (9, grpc.StatusCode.OUT_OF_RANGE, "CHANGES_FORGOTTEN"),
    ],
)
async def test_changes_that_are_not_known_are_refused(
    channel: grpc.aio.Channel, from_sequence: int, code: grpc.StatusCode, reason: str
) -> None:
    request = pb.WatchChangesRequest(from_sequence=from_sequence)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(catalog(channel).WatchChanges(request)))
    assert caught.value.code() is code
    assert error_info(caught.value).reason == reason


async def test_a_watch_ends_when_the_server_stops(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    server, port = await create_server(config, encoder)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        watching = asyncio.ensure_future(
            anext(aiter(catalog(channel).WatchChanges(pb.WatchChangesRequest())))
        )
        await asyncio.sleep(0.1)
        await asyncio.wait_for(server.stop(), config.drain_timeout_s)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watching
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert error_info(caught.value).reason == "SERVER_STOPPING"


async def _stats_with_index(channel: grpc.aio.Channel) -> pb.GetCatalogStatsResponse:
    """Returns the stats once the index is open: the first writes may come before."""
    while True:
        stats = await catalog(channel).GetCatalogStats(pb.GetCatalogStatsRequest())
        if stats.indexed_vector_count:
            return stats
        await asyncio.sleep(0.02)
