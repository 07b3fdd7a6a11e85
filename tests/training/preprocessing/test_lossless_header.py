"""Groups of prefix codes of lossless WebP files."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.training.preprocessing.costly_photos import (
    lossless_chunk,
    lossless_stream,
    riff,
    shop_photo,
    write_bits,
)
from tests.training.preprocessing.golden import encode
from twinshelf.training.preprocessing.image_header import read_image_header
from twinshelf.training.preprocessing.lossless_header import count_code_groups

ONE_SYMBOL = "0" + "1000" * 5  # a small picture of one colour, which takes no bits a pixel
PREDICTOR = write_bits((1, 1), (0, 2), (0, 3)) + ONE_SYMBOL
CROSS_COLOUR = write_bits((1, 1), (1, 2), (7, 3)) + ONE_SYMBOL
SUBTRACT_GREEN = write_bits((1, 1), (2, 2))


def colour_table(count: int) -> str:
    return write_bits((1, 1), (3, 2), (count - 1, 8)) + ONE_SYMBOL


@pytest.mark.parametrize(
    ("transforms", "count"),
    [
        ("", 100),
        (SUBTRACT_GREEN, 100),
        (PREDICTOR + SUBTRACT_GREEN + CROSS_COLOUR, 100),
        (colour_table(17), 100),
    ],
)
def test_groups_are_counted_behind_any_transforms(transforms: str, count: int) -> None:
    data = riff(lossless_chunk(40, 2, transforms), (b"JUNK", bytes(9)))
    assert count_code_groups(data, 25, 40, 40) == count
    with Image.open(io.BytesIO(data)) as image:  # Pillow reads it to the end as well
        assert image.convert("RGB").getextrema() is not None


@pytest.mark.slow
@pytest.mark.parametrize("method", [0, 4, 6])
@pytest.mark.parametrize("kind", ["photo", "palette", "noise", "transparent"])
def test_what_an_encoder_writes_has_few_groups(kind: str, method: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 4), dtype=np.uint8)
    image = {
        "photo": shop_photo(400, 300),
        "palette": shop_photo(400, 300).quantize(13).convert("RGB"),
        "noise": Image.fromarray(noise[..., :3]),
        "transparent": Image.fromarray(noise),
    }[kind]
    for options in ({"lossless": True}, {"lossless": False}):
        header = read_image_header(encode(image, "WEBP", method=method, **options))
        assert header is not None and header.code_group_count <= 100


@pytest.mark.parametrize(
    "transforms",
    [SUBTRACT_GREEN * 2, write_bits((1, 1), (0, 2), (0, 3), (0, 1)) + "1" * 99],
    ids=["a transform comes twice", "no code"],
)
def test_what_cannot_be_read_has_as_many_as_there_can_be(transforms: str) -> None:
    data = lossless_stream(400, 4, transforms)
    assert count_code_groups(data, 0, 400, 400) == min(10_000, 8 * len(data) // 20)
    assert count_code_groups(data + bytes(100_000), 0, 400, 400) == 10_000
    # More tiles than are read.
    data = lossless_stream(400, 4, PREDICTOR) + bytes(200_000)
    assert count_code_groups(data, 0, 8000, 8000) == 65_536


def test_a_stream_that_is_cut_has_as_many_as_there_can_be() -> None:
    data = lossless_stream(400, 4)
    for length in range(0, 300, 7):
        assert count_code_groups(data[:length], 0, 400, 400) == 8 * length // 20
