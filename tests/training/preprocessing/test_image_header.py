"""Headers of photo files, against Pillow's reading of them."""

import io

import pytest
from PIL import Image

from tests.training.preprocessing.golden import draw_photo, encode, with_orientation
from training.preprocessing.image_header import is_known_format, read_image_header

FILES = {
    "jpeg": encode(draw_photo(70, 31), "JPEG"),
    "jpeg with thumbnail-sized exif": with_orientation(draw_photo(70, 31), 6, "JPEG"),
    "jpeg progressive": encode(draw_photo(70, 31), "JPEG", progressive=True),
    "jpeg with comment": encode(draw_photo(70, 31), "JPEG", comment=b"\xff\xc0" * 99),
    "png": encode(draw_photo(70, 31), "PNG"),
    "webp lossy": encode(draw_photo(70, 31), "WEBP"),
    "webp lossless": encode(draw_photo(70, 31), "WEBP", lossless=True),
    "webp extended": with_orientation(draw_photo(70, 31), 6, "WEBP"),
}


@pytest.mark.parametrize("name", FILES)
def test_header_agrees_with_pillow(name):
    header = read_image_header(FILES[name])
    with Image.open(io.BytesIO(FILES[name])) as image:
        assert header is not None
        assert (header.format, header.width_px, header.height_px) == (image.format, *image.size)


@pytest.mark.parametrize("name", FILES)
def test_a_header_cut_anywhere_is_read_right_or_not_at_all(name):
    whole = read_image_header(FILES[name])
    for length in range(min(len(FILES[name]), 400)):
        cut = read_image_header(FILES[name][:length])
        assert cut is None or (cut.width_px, cut.height_px) == (whole.width_px, whole.height_px)


def test_scans_of_a_progressive_jpeg_are_counted():
    assert read_image_header(FILES["jpeg"]).scan_count == 1
    data = FILES["jpeg progressive"]
    assert read_image_header(data).scan_count == data.count(b"\xff\xda") > 1


def test_other_bytes_have_no_header():
    for data in (b"", b"GIF89a", b"RIFF1234WAVE", b"\xff\xd8", b"%PDF-1.7"):
        assert read_image_header(data) is None and not is_known_format(data)
