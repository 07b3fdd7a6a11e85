"""Probes: the kinds of photos and texts that show skew between training and serving."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from twinshelf.export.probes import photo_probes, text_probes
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import PreprocessingSettings


@pytest.mark.slow
def test_no_photo_is_square_and_all_kinds_are_there() -> None:
    opened = [Image.open(io.BytesIO(probe.data)) for probe in photo_probes()]
    assert all(image.width != image.height for image in opened)
    assert {image.format for image in opened} == {"JPEG", "PNG", "WEBP"}
    assert {"RGB", "L", "CMYK", "RGBA", "P"} <= {image.mode for image in opened}
    assert any(image.mode.startswith("I") for image in opened)
    assert any(image.getexif().get(0x0112) == 6 for image in opened)
    ratios = [image.width / image.height for image in opened]
    assert min(ratios) < 0.1 and max(ratios) > 10


@pytest.mark.slow
def test_every_photo_can_be_decoded_and_is_not_blank() -> None:
    for probe in photo_probes():
        assert decode_image(probe.data, PreprocessingSettings(image_size_px=32)).std() > 1


def test_texts_run_from_empty_to_very_long() -> None:
    texts = text_probes()
    assert "" in texts
    assert max(map(len, texts)) >= 200_000
    assert any("а" <= letter <= "я" for text in texts for letter in text)


@pytest.mark.slow
def test_probes_are_the_same_each_time() -> None:
    assert photo_probes() == photo_probes()
    assert text_probes() == text_probes()
