"""Headers of photo files, against Pillow's reading of them."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from tests.training.preprocessing.costly_photos import (
    MANY_PARTS,
    animated_webp,
    jpeg_segment,
    packed_text,
    png_chunk,
    png_file,
)
from tests.training.preprocessing.golden import draw_photo, encode, with_orientation
from twinshelf.training.preprocessing.image_cost import ImageHeader
from twinshelf.training.preprocessing.image_header import read_image_header
from twinshelf.training.preprocessing.settings import PreprocessingError

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


def image_header(data: bytes) -> ImageHeader:
    header = read_image_header(data)
    assert header is not None
    return header


@pytest.mark.parametrize("name", FILES)
def test_header_agrees_with_pillow(name: str) -> None:
    header = image_header(FILES[name])
    with Image.open(io.BytesIO(FILES[name])) as image:
        assert (header.format, header.width_px, header.height_px) == (image.format, *image.size)


@pytest.mark.parametrize("name", FILES)
def test_a_header_cut_anywhere_is_read_right_or_not_at_all(name: str) -> None:
    whole = image_header(FILES[name])
    for length in range(12, min(len(FILES[name]), 400)):
        cut = read_image_header(FILES[name][:length])
        assert cut is None or (cut.width_px, cut.height_px) == (whole.width_px, whole.height_px)


def test_scans_of_a_progressive_jpeg_are_counted() -> None:
    assert image_header(FILES["jpeg"]).scan_count == 1
    data = FILES["jpeg progressive"]
    assert image_header(data).scan_count == data.count(b"\xff\xda") > 1


def test_a_jpeg_of_one_scan_keeps_no_samples_and_one_of_several_keeps_all() -> None:
    assert image_header(FILES["jpeg"]).kept_samples_per_pixel == 0
    # At a quarter of the colours' samples there are 1 + 1/4 + 1/4 a pixel.
    progressive = image_header(FILES["jpeg progressive"])
    assert progressive.kept_samples_per_pixel == 1.5
    # Pillow's ten scans refine the grey twice and each colour once.
    assert progressive.refined_samples_per_pixel == 2.5


@pytest.mark.parametrize(("scan", "kept"), [(b"\1", 3), (b"\1\1\1", 0)])
def test_colours_of_one_name_are_counted_one_by_one(scan: bytes, kept: int) -> None:
    frame = b"\x08\0\x08\0\x08\x03" + b"\1\x11\0" * 3
    names = bytes([len(scan)]) + b"".join(bytes([name, 0]) for name in scan)
    data = b"\xff\xd8" + jpeg_segment(0xC0, frame) + jpeg_segment(0xDA, names + b"\0\x3f\0")
    assert image_header(data).kept_samples_per_pixel == kept


def test_a_scan_cannot_be_hidden_behind_a_marker_that_stands_alone() -> None:
    data = FILES["jpeg progressive"]
    start = data.index(b"\xff\xda")
    hidden = data[:start] + b"\xff\x01" + data[start:]
    hidden = hidden[:-2] + b"\xff\x01" + data[start:]
    scan_count = image_header(data).scan_count
    assert image_header(hidden).scan_count == 2 * scan_count


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCA])
def test_codings_that_shops_cannot_show_are_refused_by_name(marker: int) -> None:
    data = FILES["jpeg"].replace(b"\xff\xc0", bytes([0xFF, marker]), 1)
    with pytest.raises(PreprocessingError, match="arithmetic-coded"):
        read_image_header(data)


def test_depth_and_packed_parts_of_a_png_are_told() -> None:
    data = png_file(50, 20, bit_depth=16, colour_type=6, extra=packed_text(1000) * 3)
    header = image_header(data)
    packed_bytes = len(packed_text(1000)) - 12
    assert (header.bytes_per_pixel, header.part_count) == (8, 6)
    assert header.unpacked_bytes == 3 * 1032 * packed_bytes
    assert header.metadata_bytes == 3 * packed_bytes


@pytest.mark.parametrize(
    ("text", "unpacked_bytes"),
    [
        (b"", 0),
        (b"name", 0),
        (b"name\0\0\0\0\0" + bytes(9), 0),
        (b"name\0\1\0\0\0" + bytes(11), 4 * 20 * 1032),
        (b"name\0\1\0\0\0" + bytes(9999), 4 << 20),  # no more than Pillow allows
    ],
)
def test_international_texts_are_told_where_they_are_packed(
    text: bytes, unpacked_bytes: int
) -> None:
    data = FILES["png"][:33] + png_chunk(b"iTXt", text) + FILES["png"][33:]
    assert image_header(data).unpacked_bytes == unpacked_bytes


@pytest.mark.parametrize(("kind", "surplus_bytes"), [(b"IDAT", 90_000), (b"fdAT", 0), (b"tEXt", 0)])
def test_packed_pixels_that_are_longer_than_pixels_are_told(
    kind: bytes, surplus_bytes: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    for level in (0, 6):  # one of which does not pack at all
        data = encode(Image.fromarray(noise), "PNG", compress_level=level)
        assert image_header(data).surplus_bytes < 100
        data = data[:33] + png_chunk(kind, bytes(90_000)) + data[33:]
        assert abs(image_header(data).surplus_bytes - surplus_bytes) < 500


def test_a_png_with_two_headers_has_none() -> None:
    header = FILES["png"][8:33]
    assert read_image_header(FILES["png"].replace(header, 2 * header)) is None


def test_an_animated_webp_is_as_large_as_its_canvas() -> None:
    header = image_header(animated_webp((9000, 20), (8, 8)))
    assert header.is_animated and (header.width_px, header.height_px) == (9000, 20)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_follows_a_picture_is_none_of_it(kind: str) -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(stream, kind, exif=Image.Exif().tobytes())
    header = read_image_header(stream.getvalue())
    assert header is not None
    with_tail = read_image_header(stream.getvalue() + bytes(400_000))
    assert with_tail is not None and with_tail.part_count == header.part_count


@pytest.mark.parametrize("data", MANY_PARTS.values(), ids=MANY_PARTS)
def test_very_many_parts_are_refused_soon(data: bytes) -> None:
    started_s = time.process_time()
    with pytest.raises(PreprocessingError, match="20000"):
        read_image_header(data)
    assert time.process_time() - started_s < 0.5


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"RIFF1234WAVE", b"\xff\xd8", b"%PDF-1.7"])
def test_other_bytes_have_no_header(data: bytes) -> None:
    with pytest.raises(PreprocessingError, match="not a JPEG, PNG or WebP"):
        read_image_header(data)


def test_fill_bytes_among_the_scans_are_read_in_one_walk() -> None:
    # Fuzzing found 18 kilobytes of them to cost 1.7 seconds: each was searched from each.
    data = FILES["jpeg progressive"]
    started_s = time.process_time()
    header = image_header(data[:-2] + (b"\xff" * 2_000_000 + b"\0") * 2)
    assert time.process_time() - started_s < 0.5
    assert header.scan_count == image_header(data).scan_count


def test_a_frame_of_very_many_colours_is_read() -> None:
    frame = b"\x08\0\x08\0\x08\0" + b"".join(bytes([name, 0x11, 0]) for name in range(256))
    data = b"\xff\xd8" + jpeg_segment(0xC0, frame) + jpeg_segment(0xDA, b"\x01\0\0\0\x3f\0")
    assert image_header(data).kept_samples_per_pixel == 256
