"""The thin preprocessing models inside Triton against the same preprocessing called directly."""

from __future__ import annotations

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.model_repository.tiny_repository import TinyVersion
from tests.model_repository.triton_calls import as_bytes, infer, infer_together, photo
from tests.training.preprocessing.costly_photos import animated_webp
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.tokens import TextTokenizer

pytestmark = pytest.mark.triton

PHOTOS = [
    photo(16, 16, seed=1),
    photo(90, 40, seed=2),
    photo(33, 77, seed=3, image_format="PNG"),
    photo(640, 480, seed=4, image_format="WEBP"),
]
TEXTS = [
    "Red tea, 500 g",
    "",
    "<b>Кофе</b> &amp; ЧАЙ\n 2",
    "large blue cup box bag small green coffee tea cup red 1 2",
    "tea " * 500,
]


@pytest.mark.parametrize("number", range(len(PHOTOS)))
def test_pixels_are_those_of_training(
    client: InferenceServerClient, tiny: TinyVersion, number: int
) -> None:
    answer = infer(client, "image_preprocess", IMAGE=as_bytes([PHOTOS[number]]))

    expected = decode_image(PHOTOS[number], tiny.settings)
    np.testing.assert_array_equal(answer["PIXELS"], expected[None])


def test_pixels_of_a_batch_are_those_of_single_photos(
    client: InferenceServerClient, tiny: TinyVersion
) -> None:
    answer = infer(client, "image_preprocess", IMAGE=as_bytes(PHOTOS))

    expected = np.stack([decode_image(each, tiny.settings) for each in PHOTOS])
    np.testing.assert_array_equal(answer["PIXELS"], expected)


@pytest.mark.parametrize("texts", [*([text] for text in TEXTS), TEXTS], ids=range(6))
def test_tokens_are_those_of_training(
    client: InferenceServerClient, tiny: TinyVersion, texts: list[str]
) -> None:
    answer = infer(client, "text_preprocess", TEXT=as_bytes([text.encode() for text in texts]))

    expected = TextTokenizer(tiny.tokenizer_path, tiny.settings).encode(texts)
    np.testing.assert_array_equal(answer["INPUT_IDS"], expected.input_ids)
    np.testing.assert_array_equal(answer["ATTENTION_MASK"], expected.attention_mask)


def test_token_counts_are_padded_to_buckets(
    client: InferenceServerClient, tiny: TinyVersion
) -> None:
    lengths = {
        infer(client, "text_preprocess", TEXT=as_bytes([text.encode()]))["INPUT_IDS"].shape[1]
        for text in TEXTS
    }

    assert lengths == set(tiny.settings.token_buckets)


def test_one_broken_photo_among_concurrent_requests_fails_alone(
    client: InferenceServerClient, tiny: TinyVersion
) -> None:
    photos = [photo(40, 30, seed=seed) for seed in range(12)]
    photos[5] = photos[5][: len(photos[5]) // 3]

    requests = [{"IMAGE": as_bytes([each])} for each in photos]
    answers = infer_together(client, "image_preprocess", requests)

    for number, answer in enumerate(answers):
        if number == 5:
            assert isinstance(answer, InferenceServerException)
            assert answer.status() == "StatusCode.INVALID_ARGUMENT"
        else:
            assert isinstance(answer, dict)
            expected = decode_image(photos[number], tiny.settings)[None]
            np.testing.assert_array_equal(answer["PIXELS"], expected)


def test_every_broken_photo_of_a_request_is_named_by_its_row(
    client: InferenceServerClient,
) -> None:
    rows = [PHOTOS[0], b"GIF89a?", PHOTOS[1], b"", animated_webp((6300, 6300), (8, 8))]
    with pytest.raises(InferenceServerException) as caught:
        infer(client, "image_preprocess", IMAGE=as_bytes(rows))

    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    first, second, third = caught.value.message().split("; row ")
    assert first.endswith("row 1: image is not a JPEG, PNG or WebP file")
    assert second.startswith("3: image is empty")
    assert third.startswith("4: image has 39.7 megapixels (6300 x 6300) as an animated WebP")


def test_a_text_of_which_no_known_token_is_left_is_refused_by_its_row(
    client: InferenceServerClient,
) -> None:
    rows = [text.encode() for text in ("tea", "<p>&nbsp;</p>", "", "日本語 | 語")]
    with pytest.raises(InferenceServerException) as caught:
        infer(client, "text_preprocess", TEXT=as_bytes(rows))

    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    expected = (
        "row 1: text must hold words that the encoder knows, got '<p>&nbsp;</p>'; "
        "row 3: text must hold words that the encoder knows, got '日本語 | 語'"
    )
    assert caught.value.message().endswith(expected)


def test_every_bad_text_of_a_request_is_named_by_its_row(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        infer(client, "text_preprocess", TEXT=as_bytes([b"tea", b"\xff\xfe", b"cup", b"\xc3"]))

    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    expected = (
        "row 1: text must be UTF-8, got invalid start byte; "
        "row 3: text must be UTF-8, got unexpected end of data"
    )
    assert caught.value.message().endswith(expected)


@pytest.mark.parametrize(
    ("model", "tensor", "bad"),
    [("image_preprocess", "IMAGE", b"GIF89a?"), ("text_preprocess", "TEXT", b"\xff")],
)
def test_of_very_many_bad_rows_ten_are_named_and_the_others_counted(
    client: InferenceServerClient, model: str, tensor: str, bad: bytes
) -> None:
    with pytest.raises(InferenceServerException, match="and 22 rows more") as caught:
        infer(client, model, **{tensor: as_bytes([bad] * 32)})

    assert caught.value.message().count("row ") == 10


def test_a_bad_row_does_not_hurt_requests_of_the_same_dynamic_batch(
    client: InferenceServerClient,
) -> None:
    rows = [[b"tea", b"\xff"], [b"cup", b"tea"]] * 8
    answers = infer_together(
        client, "text_preprocess", [{"TEXT": as_bytes(texts)} for texts in rows]
    )

    for texts, answer in zip(rows, answers, strict=True):
        assert isinstance(answer, dict if b"cup" in texts else InferenceServerException)
