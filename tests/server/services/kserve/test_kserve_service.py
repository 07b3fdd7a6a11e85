"""`product_matcher` on a fake encoder, by the KServe client that everybody uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult, service_pb2
from tritonclient.grpc import aio as triton
from tritonclient.utils import InferenceServerException

from tests.server.calls import match, upsert
from tests.server.fake_encoder import BROKEN_IMAGE, FakeEncoder
from tests.server.services.second_encoder import PHOTOS, TEXTS, SecondEncoder, reindex
from twinshelf.server.config import ServerConfig
from twinshelf.server.serving import create_server
from twinshelf.v1.product_pb2 import Product

MODEL = "product_matcher"
PRODUCTS = [
    Product(product_id="mug", title="Blue mug", image=b"mug photo"),
    Product(product_id="lamp", title="Red lamp", image=b"lamp photo"),
    Product(product_id="chair", title="Oak chair"),
]


@pytest.fixture
async def address(config: ServerConfig, encoder: FakeEncoder) -> AsyncIterator[str]:
    server, port = await create_server(config, encoder)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await upsert(channel, PRODUCTS)
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop()


@pytest.fixture
async def client(address: str) -> AsyncIterator[triton.InferenceServerClient]:
    async with triton.InferenceServerClient(address) as client:
        yield client


def tensor(name: str, values: list[Any]) -> InferInput:
    array = np.array([[value] for value in values], np.int32 if name == "K" else object)
    found = InferInput(name, list(array.shape), "INT32" if name == "K" else "BYTES")
    found.set_data_from_numpy(array)
    return found


async def infer(
    client: triton.InferenceServerClient, *, model: str = MODEL, version: str = "", **columns: Any
) -> InferResult:
    inputs = [tensor(name, values) for name, values in columns.items()]
    return await client.infer(model, inputs, model_version=version, request_id="r1")


async def becomes(client: triton.InferenceServerClient, *, ready: bool) -> None:
    """Waits until the watch of the encoder has told the server."""
    async with asyncio.timeout(10):
        while await client.is_server_ready() != ready:
            await asyncio.sleep(0.01)


def strings(result: InferResult, name: str) -> list[list[str]]:
    return [[value.decode() for value in row] for row in result.as_numpy(name)]


async def test_the_answer_is_that_of_the_matching_service(
    client: triton.InferenceServerClient, address: str
) -> None:
    result = await infer(client, IMAGE=[b"mug photo"], TEXT=[b"Blue mug"], K=[2])
    async with grpc.aio.insecure_channel(address) as channel:
        expected = await match(channel, image=b"mug photo", title="Blue mug", match_count=2)
    assert strings(result, "PRODUCT_ID") == [[m.product.product_id for m in expected.matches]]
    np.testing.assert_allclose(result.as_numpy("SCORE")[0], [m.score for m in expected.matches])
    np.testing.assert_allclose(
        result.as_numpy("PROBABILITY")[0], [m.probability for m in expected.matches], rtol=1e-6
    )
    no_match = result.as_numpy("NO_MATCH_PROBABILITY")[0, 0]
    assert no_match == pytest.approx(expected.no_match_probability, rel=1e-6)
    assert strings(result, "STATUS") == [[""]]
    assert result.get_response().id == "r1"
    assert result.get_response().model_version == "1"


async def test_a_photo_or_a_title_alone_is_enough(client: triton.InferenceServerClient) -> None:
    by_photo = await infer(client, IMAGE=[b"lamp photo"])
    by_title = await infer(client, TEXT=[b"Oak chair"])
    assert strings(by_photo, "PRODUCT_ID")[0][0] == "lamp"
    assert strings(by_title, "PRODUCT_ID")[0][0] == "chair"


async def test_a_broken_row_fails_alone(client: triton.InferenceServerClient) -> None:
    result = await infer(
        client, IMAGE=[b"mug photo", BROKEN_IMAGE, b""], TEXT=[b"", b"", b"\xff"], K=[1, 1, 1]
    )
    assert strings(result, "PRODUCT_ID") == [["mug"], [""], [""]]
    good, broken, no_text = (row[0] for row in strings(result, "STATUS"))
    assert good == ""
    assert "image" in broken
    assert "TEXT must be UTF-8" in no_text
    assert np.isnan(result.as_numpy("NO_MATCH_PROBABILITY")[1:]).all()


@pytest.mark.slow
async def test_long_texts_of_the_products_leave_no_match_out(
    client: triton.InferenceServerClient, address: str
) -> None:
    goods = [
        Product(product_id=f"p{n}", title="Tin cup", description="x" * 60_000) for n in range(40)
    ]
    async with grpc.aio.insecure_channel(address) as channel:
        await upsert(channel, goods)
    (found,) = strings(await infer(client, TEXT=[b"Tin cup"], K=[50]), "PRODUCT_ID")
    assert set(found) >= {product.product_id for product in goods}


async def test_a_shorter_row_ends_with_empty_identifiers(
    client: triton.InferenceServerClient,
) -> None:
    result = await infer(client, TEXT=[b"Blue mug", b"Oak chair"], K=[1, 3])
    first, second = strings(result, "PRODUCT_ID")
    assert first == ["mug", "", ""]
    assert second[0] == "chair" and "" not in second
    assert result.as_numpy("PROBABILITY")[0, 1:].tolist() == [0, 0]


async def test_a_call_whose_rows_all_fail_ends_with_the_error(
    client: triton.InferenceServerClient,
) -> None:
    with pytest.raises(InferenceServerException) as raised:
        await infer(client, IMAGE=[BROKEN_IMAGE])
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    with pytest.raises(InferenceServerException, match="K must be 1 to 1000, got 0"):
        await infer(client, TEXT=[b"mug"], K=[0])


@pytest.mark.parametrize(
    ("terms", "code", "sentence"),
    [
        ({"model": "product_encoder"}, "NOT_FOUND", "the only model here is 'product_matcher'"),
        ({"version": "7"}, "NOT_FOUND", r"has the versions \[1\], got 7"),
        ({"version": "new"}, "INVALID_ARGUMENT", "such as '1', got 'new'"),
    ],
)
async def test_another_model_or_version_is_refused(
    client: triton.InferenceServerClient, terms: dict[str, str], code: str, sentence: str
) -> None:
    with pytest.raises(InferenceServerException, match=sentence) as raised:
        await infer(client, **terms, TEXT=[b"mug"])
    assert raised.value.status() == f"StatusCode.{code}"


async def test_without_a_status_a_broken_row_fails_the_call(
    client: triton.InferenceServerClient,
) -> None:
    inputs = [tensor("TEXT", [b"\xff", b"Blue mug"])]
    with pytest.raises(InferenceServerException, match="TEXT must be UTF-8"):
        await client.infer(MODEL, inputs, outputs=[InferRequestedOutput("PRODUCT_ID")])


async def test_outputs_may_be_chosen(client: triton.InferenceServerClient) -> None:
    inputs = [tensor("TEXT", [b"Blue mug"])]
    result = await client.infer(MODEL, inputs, outputs=[InferRequestedOutput("SCORE")])
    assert [output.name for output in result.get_response().outputs] == ["SCORE"]
    with pytest.raises(
        InferenceServerException, match=r"outputs must be of .* got \['EMBEDDING'\]"
    ):
        await client.infer(MODEL, inputs, outputs=[InferRequestedOutput("EMBEDDING")])


async def test_the_model_describes_itself(client: triton.InferenceServerClient) -> None:
    metadata = await client.get_model_metadata(MODEL)
    config = (await client.get_model_config(MODEL)).config
    assert [each.name for each in metadata.inputs] == [each.name for each in config.input]
    assert [each.name for each in metadata.outputs] == [each.name for each in config.output]
    assert all(each.optional for each in config.input)
    assert list(metadata.versions) == ["1"]
    assert (await client.get_server_metadata()).name == "twinshelf"


async def test_it_is_ready_when_the_service_is(
    client: triton.InferenceServerClient, encoder: FakeEncoder
) -> None:
    await becomes(client, ready=True)
    assert await client.is_model_ready(MODEL)
    assert not await client.is_model_ready("product_encoder")
    encoder.is_away = True
    await becomes(client, ready=False)
    assert await client.is_server_live()


@pytest.mark.slow
async def test_a_version_beside_answers_while_the_one_that_serves_is_away(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    server, port = await create_server(config, encoder, SecondEncoder())
    try:
        address = f"127.0.0.1:{port}"
        async with (
            grpc.aio.insecure_channel(address) as channel,
            triton.InferenceServerClient(address) as client,
        ):
            await upsert(channel, [*TEXTS, *PHOTOS])
            await reindex(channel)
            await becomes(client, ready=True)
            assert list((await client.get_model_metadata(MODEL)).versions) == ["1", "2"]
            encoder.is_away = True
            await becomes(client, ready=False)
            result = await infer(client, version="2", TEXT=[b"lamp 3"], K=[1])
            assert strings(result, "PRODUCT_ID") == [["t3"]]
            told = [await client.is_model_ready(MODEL, version) for version in ("", "1", "2")]
            assert told == [False, False, True]
            assert list((await client.get_model_metadata(MODEL)).versions) == ["2"]
            with pytest.raises(InferenceServerException) as raised:
                await infer(client, version="1", TEXT=[b"lamp 3"])
            assert raised.value.status() == "StatusCode.UNAVAILABLE"
    finally:
        await server.stop()


async def test_calls_are_counted(client: triton.InferenceServerClient) -> None:
    await infer(client, TEXT=[b"Blue mug", b"Red lamp"])
    with pytest.raises(InferenceServerException):
        await infer(client, IMAGE=[BROKEN_IMAGE])
    (model,) = (await client.get_inference_statistics(MODEL)).model_stats
    assert (model.inference_count, model.execution_count) == (2, 1)
    assert (model.inference_stats.success.count, model.inference_stats.fail.count) == (1, 1)
    assert model.inference_stats.success.ns > 0
    stats = model.inference_stats
    # What perf_analyzer wants.
    for part in (stats.queue, stats.compute_input, stats.compute_infer, stats.compute_output):
        assert part.count == 1


async def test_what_is_not_offered_is_unimplemented(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as raised:
        await client.load_model("anything")
    assert raised.value.status() == "StatusCode.UNIMPLEMENTED"


async def test_values_may_travel_as_contents(address: str) -> None:
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    text = request.inputs.add(name="TEXT", datatype="BYTES", shape=[1, 1])
    text.contents.bytes_contents.append(b"Oak chair")
    count = request.inputs.add(name="K", datatype="INT32", shape=[1, 1])
    count.contents.int_contents.append(1)
    async with grpc.aio.insecure_channel(address) as channel:
        ask = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        answer = InferResult(await ask(request))
    assert strings(answer, "PRODUCT_ID") == [["chair"]]
