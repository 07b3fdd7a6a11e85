"""LocalEncoder over a tiny published repository, against the same steps taken by hand."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from tests.model_repository.tiny_repository import (
    WORDS,
    TinyVersion,
    publish_tiny_version,
    write_manifest,
)
from tests.model_repository.triton_calls import photo
from tests.server.fake_encoder import make_contract
from twinshelf.server.encoders import local_encoder
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.published_version import OnnxModel, PublishedVersion
from twinshelf.server.encoders.python_model import Tensors
from twinshelf.server.errors import (
    EncoderContractError,
    EncoderFailedError,
    EncoderUnavailableError,
    InvalidRequestError,
    TwinshelfError,
)
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.tokens import TextTokenizer


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyVersion:
    repository = tmp_path_factory.mktemp("model_repository")
    first = publish_tiny_version(repository, version=1)
    publish_tiny_version(repository, version=2)
    return first


@pytest.fixture(scope="module")
def encoder(tiny: TinyVersion) -> LocalEncoder:
    return LocalEncoder(tiny.repository, 1, thread_count=1)


def run_graph(tiny: TinyVersion, model: str, **inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        str(tiny.onnx_path(model)), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)[0]


def embed(encoder: LocalEncoder, rows: Sequence[EncoderInput]) -> list[OfferEmbedding]:
    """Embeds rows of which none may fail."""
    embeddings = encoder.encode_now(rows)
    sound = [each for each in embeddings if isinstance(each, OfferEmbedding)]
    assert len(sound) == len(embeddings)
    return sound


def image_row(tiny: TinyVersion, data: bytes) -> np.ndarray:
    return run_graph(tiny, "image_tower", PIXELS=decode_image(data, tiny.settings)[None])[0]


def assert_close(half: np.ndarray | None, other: np.ndarray | None, *, atol: float) -> None:
    assert half is not None and other is not None
    np.testing.assert_allclose(half, other, atol=atol)


def text_row(tiny: TinyVersion, text: str) -> np.ndarray:
    tokens = TextTokenizer(tiny.tokenizer_path, tiny.settings).encode([text])
    return run_graph(
        tiny, "text_tower", INPUT_IDS=tokens.input_ids, ATTENTION_MASK=tokens.attention_mask
    )[0]


@pytest.mark.slow
async def test_rows_of_every_pattern_equal_the_steps_taken_by_hand(
    tiny: TinyVersion, encoder: LocalEncoder
) -> None:
    texts = ["red tea 500 g", "large blue cup " * 3, "<b>кофе</b>"]
    photos = [photo(40, 30, seed=1), photo(20, 90, seed=2, image_format="PNG")]
    rows = [
        EncoderInput(image=image, text=text)
        for image in (*photos, None)
        for text in (*texts, None)
        if image or text
    ]
    embeddings = await encoder.encode(rows, encoder.contract)
    for row, embedding in zip(rows, embeddings, strict=True):
        assert isinstance(embedding, OfferEmbedding)
        assert embedding.pattern is row.pattern
        # Rows of a batch are padded to the longest: sums in fp32 run in another order.
        if row.image is not None:
            assert_close(embedding.image, image_row(tiny, row.image), atol=1e-5)
        if row.text is not None:
            assert_close(embedding.text, text_row(tiny, row.text), atol=1e-5)


def test_more_rows_than_a_batch_are_taken_in_parts(encoder: LocalEncoder) -> None:
    rows = [EncoderInput(image=None, text=f"tea {i % 40}") for i in range(80)]
    embeddings = embed(encoder, rows)
    for i in range(40):
        assert_close(embeddings[i].text, embeddings[i + 40].text, atol=1e-5)
    assert encoder.encode_now([]) == []


def test_texts_are_padded_to_those_of_like_length(
    encoder: LocalEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [EncoderInput(image=None, text="tea " * (13 if i % 2 else 1)) for i in range(20)]
    alone = [embed(encoder, [row])[0].text for row in rows]
    run, shapes = OnnxModel.run, []

    def note(model: OnnxModel, inputs: Tensors) -> dict[str, np.ndarray]:
        shapes.append(inputs["INPUT_IDS"].shape)
        return run(model, inputs)

    monkeypatch.setattr(OnnxModel, "run", note)
    monkeypatch.setattr(encoder, "_has_gpu", False)
    for found, expected in zip(embed(encoder, rows), alone, strict=True):
        assert_close(found.text, expected, atol=1e-5)
    assert shapes == [(8, 8), (8, 16), (4, 16)]


def test_a_text_of_which_no_known_token_is_left_is_refused_alone_and_no_text_beside_a_photo(
    encoder: LocalEncoder,
) -> None:
    good, texts = photo(40, 30, seed=3), ["<p>&nbsp;</p>", "\u200b", "日本 | 語", "🔥", "tea"]
    *refused, tea = encoder.encode_now([EncoderInput(image=None, text=text) for text in texts])
    for error in refused:
        assert isinstance(error, InvalidRequestError)
        assert error.field == "text" and "words that the encoder knows" in error.message
    assert isinstance(tea, OfferEmbedding)
    shown = embed(encoder, [EncoderInput(image=good, text=text) for text in texts])
    assert [each.pattern for each in shown] == [Pattern.IMAGE] * 4 + [Pattern.BOTH]


def test_one_broken_photo_fails_alone(encoder: LocalEncoder) -> None:
    good = photo(40, 30, seed=3)
    rows = [
        EncoderInput(image=good, text="tea"),
        EncoderInput(image=good[:200], text="tea"),
        EncoderInput(image=b"no photo", text="tea"),
        EncoderInput(image=good, text="tea"),
    ]
    first, cut, other, last = encoder.encode_now(rows)
    for error in (cut, other):
        assert isinstance(error, InvalidRequestError)
        assert error.field == "image"
    assert isinstance(first, OfferEmbedding) and isinstance(last, OfferEmbedding)
    assert_close(first.image, last.image, atol=1e-6)
    [alone] = embed(encoder, rows[:1])
    assert_close(first.image, alone.image, atol=1e-5)


def test_a_row_that_a_tower_fails_on_fails_alone(
    encoder: LocalEncoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run, coffee = OnnxModel.run, 4 + WORDS.index("coffee")

    def fail(model: OnnxModel, inputs: Tensors) -> dict[str, np.ndarray]:
        if (inputs.get("INPUT_IDS", np.zeros(1)) == coffee).any():
            raise RuntimeError("indices element out of data bounds")
        return run(model, inputs)

    monkeypatch.setattr(OnnxModel, "run", fail)
    rows = [EncoderInput(image=None, text=text) for text in ("tea", "coffee", "box")]
    first, failed, last = encoder.encode_now(rows)
    assert isinstance(first, OfferEmbedding) and isinstance(last, OfferEmbedding)
    assert isinstance(failed, EncoderFailedError) and "indices" not in failed.message
    assert "indices element out of data bounds" in caplog.text


@pytest.mark.slow
def test_a_decompression_bomb_is_refused_by_its_size(encoder: LocalEncoder) -> None:
    buffer = io.BytesIO()
    Image.new("1", (10_000, 5_000)).save(buffer, "PNG")
    (error,) = encoder.encode_now([EncoderInput(image=buffer.getvalue(), text=None)])
    assert isinstance(error, InvalidRequestError)
    assert "pixels" in error.message


def test_two_versions_live_side_by_side_and_the_newest_is_the_default(
    tiny: TinyVersion, encoder: LocalEncoder
) -> None:
    newest = LocalEncoder(tiny.repository, thread_count=1)
    assert (encoder.contract.version, newest.contract.version) == (1, 2)
    row = [EncoderInput(image=photo(20, 20), text="tea")]
    [new], [old] = embed(newest, row), embed(encoder, row)
    assert new.image is not None and old.image is not None
    assert not np.allclose(new.image, old.image)


async def test_a_stop_waits_for_what_is_under_way_alone(
    tiny: TinyVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = LocalEncoder(tiny.repository, 1, thread_count=1)
    begun, may_end = threading.Event(), threading.Event()

    def hold(inputs: Sequence[EncoderInput]) -> list[OfferEmbedding | TwinshelfError]:
        begun.set()
        assert may_end.wait(20)
        return []

    monkeypatch.setattr(encoder, "encode_now", hold)
    first, *others = [asyncio.ensure_future(encoder.encode([], encoder.contract)) for _ in range(9)]
    await asyncio.to_thread(begun.wait)
    closing = asyncio.ensure_future(encoder.close())
    await asyncio.wait(others, timeout=20)
    assert all(each.cancelled() for each in others) and not closing.done()
    may_end.set()
    await closing
    assert await first == []


async def test_another_contract_is_answered_by_unavailable(encoder: LocalEncoder) -> None:
    (error,) = await encoder.encode([EncoderInput(image=None, text="tea")], make_contract("other"))
    assert isinstance(error, EncoderUnavailableError)


def test_a_version_that_is_not_published_is_refused(tiny: TinyVersion, tmp_path: Path) -> None:
    with pytest.raises(EncoderContractError, match="no version 9 .* published versions: 1, 2"):
        LocalEncoder(tiny.repository, 9)
    with pytest.raises(EncoderContractError, match="no model 'product_encoder'"):
        LocalEncoder(tmp_path)


def test_a_part_with_a_broken_configuration_is_refused(tmp_path: Path) -> None:
    publish_tiny_version(tmp_path)
    (tmp_path / "fusion" / "configs" / "v1.pbtxt").write_text("unknown_field: 1")
    with pytest.raises(EncoderContractError, match="v1.pbtxt is not a Triton model configuration"):
        LocalEncoder(tmp_path)


def test_a_version_without_a_contract_is_refused(tmp_path: Path) -> None:
    publish_tiny_version(tmp_path)
    path = tmp_path / "text_encoder" / "configs" / "v1.pbtxt"
    path.write_text(path.read_text().replace("twinshelf_contract", "something_else"))
    write_manifest(tmp_path)
    with pytest.raises(EncoderContractError, match="twinshelf_contract"):
        LocalEncoder(tmp_path)


@pytest.mark.parametrize(
    "name", ["image_tower/1/model.onnx", "text_preprocess/1/preprocessing/texts.py"]
)
def test_a_file_that_was_changed_since_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    publish_tiny_version(tmp_path)
    with (tmp_path / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(EncoderContractError, match=f"{name} of version 1 was changed"):
        LocalEncoder(tmp_path)


def test_a_version_that_is_published_anew_while_it_is_loaded_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_tiny_version(tmp_path)

    def load(*arguments: object, **options: object) -> PublishedVersion:
        loaded = PublishedVersion(*arguments, **options)  # type: ignore[arg-type]
        (tmp_path / "fusion" / "1" / "model.onnx").write_bytes(b"of another publication")
        write_manifest(tmp_path)
        return loaded

    monkeypatch.setattr(local_encoder, "PublishedVersion", load)
    with pytest.raises(EncoderContractError, match="published anew while it was loaded"):
        LocalEncoder(tmp_path)


def test_of_a_photo_and_a_text_that_both_fail_the_photo_is_named(encoder: LocalEncoder) -> None:
    (error,) = encoder.encode_now([EncoderInput(image=b"no photo", text="tea")])
    assert isinstance(error, InvalidRequestError)
    assert error.field == "image"
