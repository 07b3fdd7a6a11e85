"""The three ensembles in the real Triton, against the same graphs run step by step."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime as ort
import pytest
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.model_repository.tiny_repository import ENSEMBLES, TinyVersion, contract
from tests.model_repository.triton_calls import as_bytes, infer, infer_together, photo
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.tokens import TextTokenizer

pytestmark = pytest.mark.triton

# One matrix product per tower: only the order of summation may differ between batch sizes.
TOLERANCE = 1e-6
PHOTOS = [photo(50 + 7 * seed, 80 - 5 * seed, seed=seed) for seed in range(8)]
TEXTS = [
    "red tea",
    "blue coffee cup large 2",
    "чай 500 g",
    "",
    "bag",
    "small box",
    "1",
    "green " * 9,
]


def run(tiny: TinyVersion, model: str, **arrays: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(tiny.onnx_path(model), providers=["CPUExecutionProvider"])
    return session.run(None, arrays)[0]


def expected_halves(tiny: TinyVersion, number: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = decode_image(PHOTOS[number], tiny.settings)[None]
    tokens = TextTokenizer(tiny.tokenizer_path, tiny.settings).encode([TEXTS[number]])
    text = run(tiny, "text_tower", INPUT_IDS=tokens.input_ids, ATTENTION_MASK=tokens.attention_mask)
    return run(tiny, "image_tower", PIXELS=pixels), text


def request(number: int) -> dict[str, np.ndarray]:
    return {"IMAGE": as_bytes([PHOTOS[number]]), "TEXT": as_bytes([TEXTS[number].encode()])}


def test_product_embeddings_are_the_weighted_halves(
    client: InferenceServerClient, tiny: TinyVersion
) -> None:
    answers = infer_together(client, "product_encoder", [request(n) for n in range(len(PHOTOS))])

    for number, answer in enumerate(answers):
        assert isinstance(answer, dict), answer
        image, text = expected_halves(tiny, number)
        w = tiny.fusion_weight
        expected = np.concatenate([w**0.5 * image, (1 - w) ** 0.5 * text], axis=1)  # (1, 512)
        np.testing.assert_allclose(answer["EMBEDDING"], expected, atol=TOLERANCE)
        np.testing.assert_allclose(np.linalg.norm(answer["EMBEDDING"]), 1.0, atol=TOLERANCE)


def test_encoders_of_one_modality_answer_their_half(
    client: InferenceServerClient, tiny: TinyVersion
) -> None:
    for number in range(3):
        image, text = expected_halves(tiny, number)
        inputs = request(number)
        of_image = infer(client, "image_encoder", IMAGE=inputs["IMAGE"])["IMAGE_EMBEDDING"]
        of_text = infer(client, "text_encoder", TEXT=inputs["TEXT"])["TEXT_EMBEDDING"]

        np.testing.assert_allclose(of_image, image, atol=TOLERANCE)
        np.testing.assert_allclose(of_text, text, atol=TOLERANCE)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_rows_of_a_batch_equal_single_rows(client: InferenceServerClient, batch_size: int) -> None:
    numbers = [n % 2 for n in range(batch_size)]  # of one token bucket
    rows = {name: np.concatenate([request(n)[name] for n in numbers]) for name in ("IMAGE", "TEXT")}

    together = infer(client, "product_encoder", **rows)["EMBEDDING"]

    single = [infer(client, "product_encoder", **request(n))["EMBEDDING"] for n in (0, 1)]
    expected = np.concatenate([single[n] for n in numbers])
    np.testing.assert_allclose(together, expected, atol=TOLERANCE)


def test_a_batch_above_the_maximum_is_refused(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="<= 32") as caught:
        infer(client, "text_encoder", TEXT=as_bytes([b"tea"] * 33))

    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_broken_photo_reaches_the_caller_as_an_invalid_argument_and_alone(
    client: InferenceServerClient,
) -> None:
    requests = [request(number) for number in range(6)]
    requests[2]["IMAGE"] = as_bytes([b"this is not a photo"])

    answers = infer_together(client, "product_encoder", requests)

    bad = answers.pop(2)
    assert all(isinstance(answer, dict) for answer in answers)
    assert isinstance(bad, InferenceServerException)
    assert bad.status() == "StatusCode.INVALID_ARGUMENT"
    assert "image is not a JPEG, PNG or WebP file" in bad.message()


@pytest.mark.parametrize("model", ENSEMBLES)
def test_the_contract_is_read_from_the_ensemble(client: InferenceServerClient, model: str) -> None:
    parameters = client.get_model_config(model).config.parameters

    assert json.loads(parameters["twinshelf_contract"].string_value) == contract(1)


def test_only_the_chosen_version_is_served(client: InferenceServerClient) -> None:
    statistics = client.get_inference_statistics().model_stats

    assert {each.version for each in statistics} == {"1"}
    assert {each.name for each in statistics} >= set(ENSEMBLES)
    assert all(client.is_model_ready(name) for name in ENSEMBLES)
