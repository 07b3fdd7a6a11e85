"""Training, Triton and LocalEncoder make the same tensors of the same offers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tritonclient import grpc as triton_client

from tests.end_to_end.conftest import Published
from tests.end_to_end.offers import TEXTS, photos
from tests.model_repository.triton_calls import as_bytes, infer, infer_together
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.server.encoders.triton_encoder import TritonEncoder
from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.triton.process import TritonServer
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.texts import join_fields

pytestmark = pytest.mark.triton

# What the export gate grants fp32 towers on unit embeddings (issue and design agree on it).
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def models(triton: TritonServer) -> Iterator[triton_client.InferenceServerClient]:
    """A plain KServe client of Triton."""
    with triton_client.InferenceServerClient(triton.grpc_address) as connected:
        yield connected


def embed_in_torch(published: Published) -> dict[str, npt.NDArray[np.float32]]:
    """Returns what training's own preprocessing and towers make of the offers, row by row."""
    encoder = published.encoder
    model = encoder.model.eval()
    rows: dict[str, list[npt.NDArray[np.float32]]] = {"image": [], "text": [], "both": []}
    with torch.inference_mode():
        for photo, text in zip(photos(), TEXTS, strict=True):
            pixels = torch.from_numpy(decode_image(photo, encoder.settings))[None]
            tokens = encoder.tokenizer.encode([text])
            image = model.image_tower(pixels)
            words = model.text_tower(
                torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
            )
            for name, row in (
                ("image", image),
                ("text", words),
                ("both", model.fusion(image, words)),
            ):
                rows[name].append(row[0].numpy())
    return {name: np.stack(values) for name, values in rows.items()}


def test_pixels_are_identical(
    published: Published, models: triton_client.InferenceServerClient
) -> None:
    for photo in photos():
        served = infer(models, "image_preprocess", IMAGE=as_bytes([photo]))["PIXELS"]
        np.testing.assert_array_equal(served[0], decode_image(photo, published.encoder.settings))


def test_pixels_are_identical_in_a_batch(
    published: Published, models: triton_client.InferenceServerClient
) -> None:
    served = infer(models, "image_preprocess", IMAGE=as_bytes(photos()))["PIXELS"]
    expected = [decode_image(photo, published.encoder.settings) for photo in photos()]
    np.testing.assert_array_equal(served, np.stack(expected))


@pytest.mark.parametrize("texts", [*[(text,) for text in TEXTS], TEXTS], ids=lambda t: len(t))
def test_token_ids_are_identical(
    texts: tuple[str, ...], published: Published, models: triton_client.InferenceServerClient
) -> None:
    served = infer(models, "text_preprocess", TEXT=as_bytes([t.encode() for t in texts]))
    expected = published.encoder.tokenizer.encode(list(texts))
    np.testing.assert_array_equal(served["INPUT_IDS"], expected.input_ids)
    np.testing.assert_array_equal(served["ATTENTION_MASK"], expected.attention_mask)


def test_embeddings_agree_alone_and_in_batches(
    published: Published, models: triton_client.InferenceServerClient
) -> None:
    expected = embed_in_torch(published)
    images, texts = photos(), [text.encode() for text in TEXTS]
    whole = {
        "both": infer(models, "product_encoder", IMAGE=as_bytes(images), TEXT=as_bytes(texts)),
        "image": infer(models, "image_encoder", IMAGE=as_bytes(images)),
        "text": infer(models, "text_encoder", TEXT=as_bytes(texts)),
    }
    for pattern, outputs in whole.items():
        (served,) = outputs.values()
        np.testing.assert_allclose(served, expected[pattern], atol=TOLERANCE, err_msg=pattern)
    requests = [
        {"IMAGE": as_bytes([image]), "TEXT": as_bytes([text])}
        for image, text in zip(images, texts, strict=True)
    ]
    for row, answer in zip(
        expected["both"], infer_together(models, "product_encoder", requests), strict=True
    ):
        assert isinstance(answer, dict), answer
        np.testing.assert_allclose(answer["EMBEDDING"][0], row, atol=TOLERANCE)


def test_offers_differ_far_more_than_the_tolerance(published: Published) -> None:
    """The control: rows that all looked alike would pass every test above."""
    for pattern, rows in embed_in_torch(published).items():
        gaps = [np.abs(a - b).max() for i, a in enumerate(rows) for b in rows[:i]]
        assert min(gaps) > 10 * TOLERANCE, pattern


def test_one_broken_photo_fails_alone(models: triton_client.InferenceServerClient) -> None:
    broken = photos()[0][:200]
    requests = [{"IMAGE": as_bytes([photo])} for photo in [*photos(), broken, *photos()] * 3]
    answers = infer_together(models, "image_encoder", requests)
    failed = {i: answer for i, answer in enumerate(answers) if not isinstance(answer, dict)}
    assert list(failed) == [i for i, r in enumerate(requests) if r["IMAGE"][0, 0] == broken]
    assert all("INVALID_ARGUMENT" in error.status() for error in failed.values())


def encoder_inputs() -> list[EncoderInput]:
    """Returns offers of every pattern."""
    both = [
        EncoderInput(image=image, text=text or None)
        for image, text in zip(photos(), TEXTS, strict=True)
    ]
    alone = [EncoderInput(image=image, text=None) for image in photos()]
    return both + alone + [EncoderInput(image=None, text=text) for text in TEXTS if text]


async def test_local_encoder_and_triton_agree(triton: TritonServer, local: LocalEncoder) -> None:
    encoder = await TritonEncoder.open(triton.grpc_address, version=1, timeout_s=20)
    try:
        contract = await encoder.refresh()
        assert contract == local.contract
        inputs = [*encoder_inputs(), EncoderInput(image=b"not a photo", text=None)]
        served = await encoder.encode(inputs, contract)
        for here, there in zip(local.encode_now(inputs[:-1]), served[:-1], strict=True):
            for name in ("image", "text"):
                left, right = getattr(here, name), getattr(there, name)
                assert (left is None) == (right is None)
                if left is not None:
                    np.testing.assert_allclose(left, right, atol=TOLERANCE)
        (refused,) = local.encode_now(inputs[-1:])
        assert isinstance(refused, InvalidRequestError)
        assert isinstance(served[-1], InvalidRequestError)
        assert served[-1].message == refused.message
    finally:
        await encoder.close()


def test_joining_on_the_server_gives_the_tokens_of_training(
    published: Published, local: LocalEncoder
) -> None:
    fields: dict[str, str | dict[str, str]] = {
        "title": "Red <b>Soap</b>\u00a0500 <!-- large",
        "brand": " ",
        "description": "large &amp; green",
        "attributes": {"size": "500", "colour": "red"},
    }
    joined = local.contract.text_fields.join(fields, prefix="query: ")
    there = join_fields(fields, published.encoder.settings, prefix="query: ")
    assert joined is not None
    encode = published.encoder.tokenizer.encode
    np.testing.assert_array_equal(encode([joined]).input_ids, encode([there]).input_ids)
