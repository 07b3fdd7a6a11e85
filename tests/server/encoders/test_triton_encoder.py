"""TritonEncoder against a small KServe server: embeddings, errors, going away and coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from google.rpc import code_pb2

from tests.server.fake_encoder import (
    BROKEN_IMAGE,
    FakeEncoder,
    contract_json,
    digest_of,
    make_contract,
)
from tests.server.fake_triton import FakeTriton
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.triton_encoder import TritonEncoder
from twinshelf.server.errors import (
    EncoderContractError,
    EncoderFailedError,
    EncoderMismatchError,
    EncoderUnavailableError,
    InvalidRequestError,
)
from twinshelf.server.services.calls.statuses import status_of
from twinshelf.server.triton.triton_config import listen

ROWS = [
    EncoderInput(image=b"photo", text=None),
    EncoderInput(image=None, text="query: кружка"),
    EncoderInput(image=b"photo", text="query: mug"),
]


@pytest.fixture
async def encoder(triton: FakeTriton) -> AsyncIterator[TritonEncoder]:
    encoder = await open_encoder(triton)
    yield encoder
    await encoder.close()


async def open_encoder(triton: FakeTriton, version: int = 0) -> TritonEncoder:
    return await TritonEncoder.open(f"127.0.0.1:{triton.port}", version=version, timeout_s=5)


async def test_rows_of_every_pattern_come_back_as_unit_halves(encoder: TritonEncoder) -> None:
    contract = await encoder.refresh()
    assert contract == make_contract()
    for row, embedding in zip(ROWS, await encoder.encode(ROWS, contract), strict=True):
        expected = FakeEncoder().embed(row)
        for modality in ("image", "text"):
            got, wanted = getattr(embedding, modality), getattr(expected, modality)
            assert (got is None) == (wanted is None)
            if got is not None:
                np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert await encoder.encode([], contract) == []


async def test_one_broken_photo_fails_alone_with_the_sentence_of_the_model(
    encoder: TritonEncoder,
) -> None:
    contract = await encoder.refresh()
    rows = [ROWS[0], EncoderInput(image=BROKEN_IMAGE, text="query: mug"), ROWS[1]]
    first, broken, last = await encoder.encode(rows, contract)
    assert not isinstance(first, Exception)
    assert not isinstance(last, Exception)
    assert isinstance(broken, InvalidRequestError)
    assert broken.message == "image must be a JPEG, PNG or WebP file"
    assert broken.field == "image"


@pytest.mark.parametrize(
    "message",
    [
        "in ensemble 'text_encoder', text is wrong",
        "Failed to process the request(s) for model instance 'text_0', message: "
        "TritonModelException: text is wrong\n\nAt:\n  /models/model.py(3): execute\n",
        "[request id: <id_unknown>] text is wrong",
    ],
)
async def test_decorations_of_triton_are_stripped(
    triton: FakeTriton, encoder: TritonEncoder, message: str
) -> None:
    contract = await encoder.refresh()
    triton.failure = (grpc.StatusCode.INVALID_ARGUMENT, message)
    (error,) = await encoder.encode([ROWS[1]], contract)
    assert isinstance(error, InvalidRequestError)
    assert error.message == "text is wrong"
    assert error.field == "text"


async def test_an_error_says_whose_it_is_where_both_are_there(
    triton: FakeTriton, encoder: TritonEncoder
) -> None:
    contract = await encoder.refresh()
    triton.failure = (grpc.StatusCode.INVALID_ARGUMENT, "it is wrong")
    for row, field in zip(ROWS, ("image", "text", "image"), strict=True):
        (error,) = await encoder.encode([row], contract)
        assert isinstance(error, InvalidRequestError)
        assert error.field == field


async def test_requests_are_in_flight_together(triton: FakeTriton, encoder: TritonEncoder) -> None:
    contract = await encoder.refresh()
    all_there = asyncio.Event()

    async def wait() -> None:
        if triton.request_count == 20:
            all_there.set()
        await all_there.wait()

    triton.before_answer = wait
    rows = [EncoderInput(image=None, text=f"text {i}") for i in range(20)]
    answers = await encoder.encode(rows, contract)
    for row, answer in zip(rows, answers, strict=True):
        expected = FakeEncoder().embed(row)
        assert isinstance(answer, OfferEmbedding) and isinstance(expected, OfferEmbedding)
        assert answer.text is not None and expected.text is not None
        np.testing.assert_allclose(answer.text, expected.text, atol=1e-6)


async def test_a_proxy_for_the_web_is_not_asked_for_triton(
    triton: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listen("127.0.0.1", 0) as holder:
        nobody = f"http://127.0.0.1:{holder.getsockname()[1]}"
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, nobody)
    for name in ("no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    encoder = await open_encoder(triton)
    assert await encoder.refresh() == make_contract()
    await encoder.close()


async def test_before_the_first_look_the_encoder_is_unavailable(encoder: TritonEncoder) -> None:
    with pytest.raises(EncoderUnavailableError, match="has not been reached yet"):
        _ = encoder.contract


async def test_triton_that_goes_away_is_unavailable_and_serves_again_once_back(
    triton: FakeTriton, encoder: TritonEncoder
) -> None:
    contract = await encoder.refresh()
    await encoder.encode(ROWS, contract)
    await triton.stop()
    for error in await encoder.encode(ROWS, contract):
        assert isinstance(error, EncoderUnavailableError)
    with pytest.raises(EncoderUnavailableError, match="cannot be reached at"):
        _ = encoder.contract
    await triton.start()
    contract = await come_back(encoder)
    assert not any(isinstance(row, Exception) for row in await encoder.encode(ROWS, contract))


async def come_back(encoder: TritonEncoder) -> EncoderContract:
    """Looks, as the watch does, until the channel has found the server again."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await encoder.refresh()
            except EncoderUnavailableError:
                await asyncio.sleep(0.02)


async def test_another_encoder_after_the_return_is_noticed(
    triton: FakeTriton, encoder: TritonEncoder
) -> None:
    old = await encoder.refresh()
    await triton.stop()
    triton.serve(contract_json("second", 2))
    await triton.start()
    contract = await come_back(encoder)
    assert contract.digest == encoder.contract.digest == digest_of("second")
    for error in await encoder.encode(ROWS, old):
        assert isinstance(error, EncoderUnavailableError)


async def test_a_version_that_is_not_served_any_more_is_noticed_by_the_next_request(
    triton: FakeTriton, encoder: TritonEncoder
) -> None:
    old = await encoder.refresh()
    triton.serve(contract_json("second", 2))
    (error,) = await encoder.encode(ROWS[:1], old)
    assert isinstance(error, EncoderUnavailableError)
    assert encoder.contract.version == 2


async def test_an_embedding_of_an_encoder_that_has_changed_meanwhile_is_thrown_away(
    triton: FakeTriton, encoder: TritonEncoder
) -> None:
    contract = await encoder.refresh()

    async def change() -> None:
        triton.serve(contract_json("other weights", 1))
        await encoder.refresh()

    triton.before_answer = change
    (error,) = await encoder.encode(ROWS[:1], contract)
    assert isinstance(error, EncoderUnavailableError)
    assert "has just changed" in error.message


@pytest.mark.parametrize(
    "row", [np.full(16, np.nan), np.zeros(16), np.ones(16), np.ones(5)], ids=str
)
async def test_answers_that_are_no_embedding_are_failures(
    triton: FakeTriton, encoder: TritonEncoder, row: np.ndarray
) -> None:
    contract = await encoder.refresh()
    triton.row = row
    (error,) = await encoder.encode(ROWS[:1], contract)
    assert isinstance(error, EncoderFailedError)


async def test_failures_inside_triton_are_not_told_to_callers(
    triton: FakeTriton, encoder: TritonEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    contract = await encoder.refresh()
    triton.failure = (grpc.StatusCode.INTERNAL, "a secret of the inside")
    (error,) = await encoder.encode(ROWS[:1], contract)
    assert isinstance(error, EncoderFailedError)
    assert "secret" not in error.message
    assert "a secret of the inside" in caplog.text


async def test_a_python_model_that_is_frozen_or_dead_is_worth_a_repeat(
    triton: FakeTriton, encoder: TritonEncoder
) -> None:
    contract = await encoder.refresh()
    sentence = "Stub process 'image_preprocess_0_1' is not healthy."
    triton.failure = (grpc.StatusCode.INTERNAL, f"in ensemble 'image_encoder', {sentence}")
    (error,) = await encoder.encode(ROWS[:1], contract)
    assert isinstance(error, EncoderUnavailableError)
    assert error.message.endswith(f"could not answer: {sentence}")


async def test_a_version_that_the_configuration_insists_on_is_checked(triton: FakeTriton) -> None:
    encoder = await open_encoder(triton, version=7)
    with pytest.raises(EncoderMismatchError, match="version 7, but Triton .* serves version 1"):
        await encoder.refresh()
    with pytest.raises(EncoderMismatchError):
        _ = encoder.contract
    await encoder.close()


@pytest.mark.parametrize(
    ("model", "text", "sentence"),
    [
        ("text_encoder", "", "text_encoder .* has no parameter twinshelf_contract"),
        ("image_encoder", contract_json("other"), "were not published together"),
    ],
)
async def test_models_that_are_not_of_one_publication_are_refused(
    triton: FakeTriton, encoder: TritonEncoder, model: str, text: str, sentence: str
) -> None:
    triton.contracts[model] = text
    with pytest.raises(EncoderContractError, match=sentence):
        await encoder.refresh()


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE], ids=str)
async def test_a_model_that_triton_does_not_know_is_named(
    triton: FakeTriton, encoder: TritonEncoder, code: grpc.StatusCode
) -> None:
    await come_back(encoder)
    triton.config_failure = (code, "Request for unknown model: 'image_encoder' is not found")
    with pytest.raises(EncoderUnavailableError) as raised:
        await encoder.refresh()
    assert raised.value.message == (
        f"Triton at 127.0.0.1:{triton.port} does not serve image_encoder: "
        "Request for unknown model: 'image_encoder' is not found"
    )


async def test_where_nothing_listens_triton_cannot_be_reached_and_its_start_is_told() -> None:
    with listen("127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
    encoder = await TritonEncoder.open(f"127.0.0.1:{port}", version=0, timeout_s=5)
    with pytest.raises(EncoderUnavailableError) as raised:
        await encoder.refresh()
    assert raised.value.message == (
        f"Triton cannot be reached at 127.0.0.1:{port}, start it with `make triton`: "
        "failed to connect to all addresses"
    )
    assert status_of(raised.value, "request").code == code_pb2.UNAVAILABLE
    await encoder.close()


async def test_an_answer_that_says_neither_is_told_as_it_came(
    triton: FakeTriton, encoder: TritonEncoder
) -> None:
    await come_back(encoder)
    triton.config_failure = (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
    with pytest.raises(EncoderUnavailableError, match="could not answer: Method not found!"):
        await encoder.refresh()


@pytest.mark.slow
async def test_waiting_for_the_contract_is_bounded(triton: FakeTriton) -> None:
    encoder = await TritonEncoder.open(f"127.0.0.1:{triton.port}", version=0, timeout_s=0.2)
    await come_back(encoder)
    triton.before_config = asyncio.Event().wait
    with pytest.raises(EncoderUnavailableError, match=r"did not answer within 0\.2 s"):
        await encoder.refresh()
    await encoder.close()
