"""Cosines of pairs by a trained encoder."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.export.tiny_run import make_run
from twinshelf.training.catalogues.product import PrecomputedProduct, Product
from twinshelf.training.catalogues.table import read_table
from twinshelf.training.checkpoint import load_encoder
from twinshelf.training.pairs.cosines import compare_sides, compare_vectors, pair_cosines
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.texts import join_fields
from twinshelf.training.retrieval.embeddings import ProductEmbeddings


def unit(generator: np.random.Generator, *shape: int) -> npt.NDArray[np.float32]:
    rows = generator.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_cosines_are_those_of_a_slow_loop() -> None:
    generator = np.random.default_rng(0)
    left, right = (
        ProductEmbeddings(image=unit(generator, 4, 5), text=unit(generator, 4, 3)) for _ in range(2)
    )
    left.image[1], right.text[2], left.image[3], right.text[3] = 0, 0, 0, 0
    found = compare_sides(left, right, 0.3)
    image = [float(a @ b) for a, b in zip(left.image, right.image, strict=True)]
    text = [float(a @ b) for a, b in zip(left.text, right.text, strict=True)]
    assert (found[0].image, found[0].text) == pytest.approx((image[0], text[0]))
    assert found[0].fused == pytest.approx(0.3 * image[0] + 0.7 * text[0])
    assert math.isnan(found[1].image) and found[1].fused == pytest.approx(text[1])
    assert math.isnan(found[2].text) and found[2].fused == pytest.approx(image[2])
    assert all(math.isnan(x) for x in (found[3].image, found[3].text, found[3].fused))


def precomputed(
    name: npt.ArrayLike,
    main: npt.ArrayLike | None,
    further: npt.ArrayLike,
) -> PrecomputedProduct:
    return PrecomputedProduct(
        product_id="x",
        name_vector=np.array(name, np.float32),
        main_pictures=np.array([] if main is None else main, np.float32).reshape(-1, 3),
        further_pictures=np.array(further, np.float32).reshape(-1, 3),
    )


def slow_cosine(a: list[float], b: list[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths


@pytest.mark.parametrize("further_count", [0, 1, 4])
def test_vectors_of_any_length_are_compared_as_in_a_slow_loop(further_count: int) -> None:
    generator = np.random.default_rng(further_count)
    left, right = (
        precomputed(
            3 * generator.normal(size=5),
            generator.normal(size=3),
            7 * generator.normal(size=(count, 3)),
        )
        for count in (further_count, 2 * further_count)
    )
    found = compare_vectors(left, right)
    best = max(slow_cosine(a.tolist(), b.tolist()) for a in left.pictures for b in right.pictures)
    names = (left.name_vector.tolist(), right.name_vector.tolist())
    assert found.image == pytest.approx(best, abs=1e-12)
    assert found.text == pytest.approx(slow_cosine(*names), abs=1e-12)
    assert math.isnan(found.fused)
    assert repr(compare_vectors(right, left)) == repr(found)


def test_a_photo_is_found_among_the_others_however_they_are_ordered() -> None:
    left = precomputed([1], [1, 0, 0], [[0, 1, 0]])
    right = precomputed([1], [0, 0, 1], [[0, -1, 0], [5, 0, 0]])
    assert compare_vectors(left, right).image == pytest.approx(1)
    main_alone = precomputed([1], [0, 0, 1], [])
    assert compare_vectors(left, main_alone).image == pytest.approx(0)


def test_main_pictures_are_also_compared_by_themselves() -> None:
    # 3·4 + 4·3 over lengths of 5 and 5; the second photos are the same one, twice as long.
    left = precomputed([1], [3, 4, 0], [[0, 0, 1]])
    right = precomputed([1], [4, 3, 0], [[0, 0, 2], [0, -1, 0]])
    for found in (compare_vectors(left, right), compare_vectors(right, left)):
        assert (found.image, found.main_image) == pytest.approx((1, 0.96))
    alone = compare_vectors(precomputed([1], [3, 4, 0], []), precomputed([1], [4, 3, 0], []))
    assert alone.main_image == alone.image == pytest.approx(0.96)


@pytest.mark.parametrize("main", [None, [0, 0, 0]])
def test_a_main_picture_that_is_missing_or_zero_leaves_its_cosine_alone_unknown(
    main: list[int] | None,
) -> None:
    left, right = precomputed([1], main, [[0, 3, 4]]), precomputed([1], [0, 4, 3], [])
    for found in (compare_vectors(left, right), compare_vectors(right, left)):
        assert math.isnan(found.main_image)
        assert found.image == pytest.approx(0.96)


def test_vectors_that_are_missing_or_zero_leave_the_cosine_unknown() -> None:
    full, zero = precomputed([1, 2], [1, 0, 0], []), precomputed([0, 0], [0, 0, 0], [])
    for other in (zero, precomputed([0, 0], None, [])):
        found = compare_vectors(full, other)
        assert math.isnan(found.image) and math.isnan(found.text)
        assert math.isnan(found.main_image)
    without_main = precomputed([1, 2], None, [[0, 0, 0], [1, 1, 0]])
    assert compare_vectors(full, without_main).image == pytest.approx(math.sqrt(0.5))


def test_vectors_too_long_or_too_short_to_square_are_compared() -> None:
    long, short = precomputed([1e38], [1e38] * 3, []), precomputed([1e-40], [1e-40] * 3, [])
    found = compare_vectors(long, short)
    assert (found.image, found.text) == pytest.approx((1, 1))


@pytest.mark.slow
def test_pairs_are_compared_as_the_towers_embed_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    encoder = load_encoder(make_run(tmp_path))
    with_photo, without = [
        product
        for product in read_table(tmp_path / "data" / "gallery.parquet")
        if isinstance(product, Product)
    ][0:3:2]
    other = Product(product_id="x", title="red soap", images=with_photo.images)
    first, second, same = pair_cosines(
        encoder, [(with_photo, other), (without, other), (other, other)]
    )
    assert all(math.isnan(cosines.main_image) for cosines in (first, second, same))
    assert math.isnan(second.image) and second.fused == pytest.approx(second.text, abs=1e-5)
    assert (same.image, same.text, same.fused) == pytest.approx((1, 1, 1), abs=1e-5)
    texts = [
        join_fields(
            {"title": p.title, "attributes": p.attributes},
            encoder.settings,
            prefix=encoder.settings.passage_prefix,
        )
        for p in (with_photo, other)
    ]
    tokens = encoder.tokenizer.encode(texts)
    pixels = decode_image(with_photo.images[0].read_bytes(), encoder.settings)
    with torch.inference_mode():
        rows = encoder.model.text_tower(
            torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
        )
        photo = encoder.model.image_tower(torch.from_numpy(pixels)[None])
    assert float((photo @ photo.T).item()) == pytest.approx(first.image, abs=1e-5)
    assert float(rows[0] @ rows[1]) == pytest.approx(first.text, abs=1e-5)
    w = encoder.model.fusion.plain_weight()
    assert first.fused == pytest.approx(w * first.image + (1 - w) * first.text, abs=1e-5)
