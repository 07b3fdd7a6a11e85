"""What rows cost: told from the headers of photos and the lengths of texts."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.services.embedding.admission import HEAVY_COST
from twinshelf.server.services.embedding.costs import embedding_cost, search_cost


def photo(width: int, height: int, image_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, image_format)
    return buffer.getvalue()


def cost_of(image: bytes | None = None, text: str | None = None) -> float:
    return embedding_cost(EncoderInput(image=image, text=text))


@pytest.mark.slow
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_a_photo_costs_by_the_pixels_that_its_header_declares(image_format: str) -> None:
    small, large = photo(100, 100, image_format), photo(3000, 2000, image_format)
    assert 1 <= cost_of(small) < 1.1
    assert cost_of(large) > cost_of(small) + 1


def test_formats_that_are_decoded_whole_cost_more_than_a_jpeg_of_their_size() -> None:
    assert cost_of(photo(3000, 2000, "PNG")) > HEAVY_COST > cost_of(photo(3000, 2000, "JPEG"))


def test_longer_texts_cost_more_up_to_what_is_read_of_them() -> None:
    assert 1 <= cost_of(text="mug") < cost_of(text="mug " * 50) < cost_of(text="mug " * 500)
    assert cost_of(text="mug " * 500) == cost_of(text="mug " * 50_000)


def test_a_search_costs_by_the_matches_that_are_asked_for() -> None:
    assert search_cost(10) < 0.5
    assert search_cost(1000) > HEAVY_COST


def test_both_cost_what_each_costs() -> None:
    image = photo(640, 480, "JPEG")
    assert cost_of(image, "mug") == pytest.approx(cost_of(image) + cost_of(text="mug"))


@pytest.mark.parametrize("image", [b"no photo", b"\x89PNG", b"RIFF", b"<svg"])
def test_what_is_no_photo_costs_as_little_as_its_refusal(image: bytes) -> None:
    assert cost_of(image) == 1


@pytest.mark.parametrize(
    "filling",
    [b"\xff\xe0\0\2" * 10_000, b"\xff" * 10_000, bytes(10_000), b"\xff\xe0\0\0"],
    ids=["empty parts", "fill bytes", "zeros", "a part of no length"],
)
def test_a_jpeg_whose_size_is_not_soon_found_is_heavy(filling: bytes) -> None:
    small = photo(100, 100, "JPEG")
    start, rest = small[:2] + b"\xff\xe0\0\2", small[2:]
    assert cost_of(start + rest) < 1.1
    assert cost_of(start + filling + rest) > HEAVY_COST
    assert cost_of(start) > HEAVY_COST


def test_the_size_of_a_jpeg_is_found_behind_the_parts_that_programs_write() -> None:
    small = photo(100, 100, "JPEG")
    parts = b"".join(b"\xff\xe2\xff\xff" + bytes(0xFFFD) for _ in range(100))
    assert cost_of(small[:2] + parts + small[2:]) == cost_of(small)
