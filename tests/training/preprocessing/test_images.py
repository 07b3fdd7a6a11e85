"""Photos to pixels."""

import io
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.training.preprocessing.costly_photos import BOMBS, animated_webp, png_chunk, png_file
from tests.training.preprocessing.golden import (
    draw_photo,
    encode,
    load_golden,
    settings_for,
    with_orientation,
)
from twinshelf.training.preprocessing.images import decode_image, decode_images
from twinshelf.training.preprocessing.settings import (
    PreprocessingError,
    PreprocessingSettings,
    Resize,
)

SETTINGS = settings_for("pad")
GOLDEN = list(load_golden())
# 6300 x 6300 pixels in 184 bytes; the same idea 512 x 65464.
SERVICE_CASES = {
    "animated_184_bytes": animated_webp((6300, 6300), (6300, 6300)),
    "slow_162_kilobytes": animated_webp((512, 65464), (330, 440), frame_count=60, flags=0x12),
}


def mean_difference(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


@pytest.mark.parametrize(
    ("resize", "data", "expected"),
    [pytest.param(r, d, e, id=f"{name}, {r}") for name, r, d, e in GOLDEN],
)
def test_pixels_are_those_that_published_encoders_were_trained_on(
    resize: Resize, data: bytes, expected: npt.NDArray[np.uint8]
) -> None:
    # Pillow is pinned, but its JPEG and WebP decoders differ by a grey level between processors.
    pixels = decode_image(data, settings_for(resize))
    assert np.abs(pixels.astype(int) - expected.astype(int)).max() <= 2


def test_golden_photos_cover_every_format_and_differ_from_each_other() -> None:
    names = {name.split()[0] for name, *_ in GOLDEN}
    assert names == {"jpeg", "png", "webp"}
    assert len({expected.tobytes() for *_, expected in GOLDEN}) > len(GOLDEN) // 2


@pytest.mark.parametrize("size", [(90, 40), (40, 90), (50, 50), (300, 2), (1, 1), (33, 31)])
@pytest.mark.parametrize("resize", ["pad", "crop", "squash"])
def test_resize_equals_the_obvious_one(size: tuple[int, int], resize: Resize) -> None:
    photo = draw_photo(*size)
    width, height = size
    side = 32
    if resize == "squash":
        expected = photo.resize((side, side), Image.Resampling.BICUBIC)
    elif resize == "crop":
        short = min(size)
        left, top = (width - short) / 2, (height - short) / 2
        box = (left, top, left + short, top + short)
        expected = photo.resize((side, side), Image.Resampling.BICUBIC, box=box)
    else:
        scale = side / max(size)
        fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
        expected = Image.new("RGB", (side, side), "white")
        inner = photo.resize(fitted, Image.Resampling.BICUBIC)
        expected.paste(inner, ((side - fitted[0]) // 2, (side - fitted[1]) // 2))
    pixels = decode_image(encode(photo, "PNG"), settings_for(resize))
    np.testing.assert_array_equal(pixels, np.asarray(expected).transpose(2, 0, 1))


def test_the_three_ways_to_resize_differ_on_a_photo_that_is_not_square() -> None:
    data = encode(draw_photo(90, 40), "PNG")
    pad, crop, squash = (decode_image(data, settings_for(r)) for r in ("pad", "crop", "squash"))
    assert min(mean_difference(*pair) for pair in [(pad, crop), (pad, squash), (crop, squash)]) > 5


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(orientation: int, file_format: str) -> None:
    upright = draw_photo(64, 28)
    # What a camera held so would store: the inverse of the turn that shows it upright.
    stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    expected = decode_image(encode(upright, "PNG"), SETTINGS)
    pixels = decode_image(with_orientation(stored, orientation, file_format), SETTINGS)
    assert mean_difference(pixels, expected) < 6  # a wrong turn differs several times as much


def test_broken_exif_does_not_cost_the_photo() -> None:
    photo = draw_photo(64, 28)
    data = encode(photo, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    np.testing.assert_array_equal(
        decode_image(data, SETTINGS), decode_image(encode(photo, "JPEG"), SETTINGS)
    )


def with_much_exif(kind: str) -> bytes:
    """Returns a photo that is turned by a quarter, as the first of 40,000 damaged tags says."""
    damaged = b"\0\2\x7f\xff\xff\xff\0\0\0\x08"
    tags = (number.to_bytes(2, "big") + damaged for number in range(1000, 41_000))
    turned = b"\x01\x12\0\3\0\0\0\1\0\6\0\0"
    exif = b"MM\0*\0\0\0\x08" + (40_001).to_bytes(2, "big") + turned + b"".join(tags)
    data = encode(draw_photo(64, 28), "WEBP" if kind == "webp" else "PNG", exif=exif)
    if kind == "png text":
        lines = "\n".join(exif[at : at + 36].hex() for at in range(0, len(exif), 36))
        text = f"\nexif\n{len(exif)}\n{lines}\n".encode()
        packed = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text, 9))
        data = encode(draw_photo(64, 28), "PNG")
        data = data[:33] + packed + data[33:]
    return data


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "png text", "webp"])
def test_of_much_exif_the_beginning_is_read_and_nothing_is_said(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(with_much_exif(kind))
    code = (
        "import pathlib, sys, time\n"
        "from twinshelf.training.preprocessing.images import decode_image\n"
        "from twinshelf.training.preprocessing.settings import PreprocessingSettings\n"
        "data = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "pixels = decode_image(data, PreprocessingSettings(image_size_px=32))\n"
        "started_s = time.process_time()\n"
        "decode_image(data, PreprocessingSettings(image_size_px=32))\n"
        "assert time.process_time() - started_s < 0.15\n"
        "sys.stdout.write(str(pixels[:, 16, 0].min()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout) == ("", "255")  # white beside it: it stands upright


@pytest.mark.slow
def test_jpeg_decoded_at_reduced_scale_stays_close_to_the_whole() -> None:
    photo = draw_photo(1000, 700)
    data = encode(photo, "JPEG", quality=95)
    whole = encode(Image.open(io.BytesIO(data)), "PNG")
    assert mean_difference(decode_image(data, SETTINGS), decode_image(whole, SETTINGS)) < 1


def test_transparent_parts_become_white() -> None:
    photo = Image.new("RGBA", (40, 20), (255, 0, 0, 0))
    assert (decode_image(encode(photo, "PNG"), SETTINGS) == 255).all()
    assert (decode_image(encode(photo, "WEBP", lossless=True), SETTINGS) == 255).all()


def test_transparent_palette_and_key_colour_become_white() -> None:
    palette = Image.new("P", (20, 20), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert (decode_image(encode(palette, "PNG", transparency=0), SETTINGS) == 255).all()
    key = Image.new("RGB", (20, 20), (1, 2, 3))
    assert (decode_image(encode(key, "PNG", transparency=(1, 2, 3)), SETTINGS) == 255).all()


@pytest.mark.slow
def test_a_key_colour_of_16_bits_takes_no_more_memory_than_was_told() -> None:
    grey = Image.fromarray(np.full((2000, 2000), 1000, dtype=np.uint16))
    data = encode(grey, "PNG", transparency=1000, compress_level=1)
    tracemalloc.start()
    assert (decode_image(data, SETTINGS) == 255).all()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 6 * 2000 * 2000  # numbers of 64 bits would be eight times alone


def test_a_transparent_grey_of_16_bits_is_laid_on_white() -> None:
    stream = io.BytesIO()
    values = np.full((10, 10), 1000, dtype=np.uint16)
    Image.fromarray(values).save(stream, "PNG", transparency=1000)
    assert (decode_image(stream.getvalue(), PreprocessingSettings(image_size_px=8)) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_png_mode_shows_the_same_grey(mode: str) -> None:
    level = 255
    grey = Image.new("L", (20, 10), level)
    photo = (
        Image.fromarray(np.full((10, 20), level * 257, dtype=np.uint16))
        if mode == "I;16"
        else grey.convert(mode)
    )
    assert (decode_image(encode(photo, "PNG"), SETTINGS) == 255).all()


def test_sixteen_bit_grey_keeps_its_middle_tones() -> None:
    photo = Image.fromarray(np.full((10, 10), 0x8080, dtype=np.uint16))
    assert (decode_image(encode(photo, "PNG"), SETTINGS) == 0x80).all()


def test_cmyk_and_grey_jpegs_look_like_the_photo() -> None:
    photo = draw_photo(64, 64)
    expected = decode_image(encode(photo, "PNG"), SETTINGS)
    assert (
        mean_difference(decode_image(encode(photo.convert("CMYK"), "JPEG"), SETTINGS), expected) < 8
    )
    grey = decode_image(encode(photo.convert("L"), "JPEG"), SETTINGS)
    assert (grey[0] == grey[1]).all() and (grey[1] == grey[2]).all()


def test_adobe_inverted_cmyk_is_not_a_negative() -> None:
    data = encode(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG")
    assert b"Adobe" in data  # Pillow writes inverted values with Adobe's marker
    assert decode_image(data, SETTINGS).min() > 240


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_taken(file_format: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "green")]
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    pixels = decode_image(data, SETTINGS)
    assert (pixels[0] == 255).all() and (pixels[1:] == 0).all()


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_formats_are_refused(file_format: str) -> None:
    with pytest.raises(PreprocessingError, match="not a JPEG, PNG or WebP"):
        decode_image(encode(draw_photo(20, 20), file_format), SETTINGS)


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>", bytes(1000), b"\xff\xd8\xff", b"RIFF"])
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    with pytest.raises(PreprocessingError, match="JPEG, PNG or WebP|broken or cut off"):
        decode_image(data, SETTINGS)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_refused(file_format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), file_format)
    with pytest.raises(PreprocessingError, match="broken or cut off"):
        decode_image(data[: int(share * len(data))], SETTINGS)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_random_damage_gives_pixels_or_our_error_and_nothing_else(file_format: str) -> None:
    generator = np.random.default_rng(1)
    whole = np.frombuffer(encode(draw_photo(60, 40), file_format), dtype=np.uint8)
    for _ in range(150):
        damaged = whole.copy()
        damaged[generator.integers(0, len(whole), 5)] = generator.integers(0, 256, 5)
        [result] = decode_images([damaged.tobytes()], replace(SETTINGS, max_pixels=100_000))
        assert isinstance(result, PreprocessingError) or result.shape == (3, 32, 32)


@pytest.mark.slow
@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_before_it_is_decoded_and_without_a_warning(
    make: Callable[..., Any],
) -> None:
    data = make()
    started_s = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PreprocessingError, match=r"at most [1-9].* allowed"):
            decode_image(data, PreprocessingSettings())
    assert time.process_time() - started_s < 0.3


@pytest.mark.parametrize("name", ["animated_184_bytes", "slow_162_kilobytes"])
def test_small_files_that_declare_much_are_refused_by_their_canvas(name: str) -> None:
    data = SERVICE_CASES[name]
    with pytest.raises(PreprocessingError, match="megapixels .* as an animated WebP; at most [89]"):
        decode_image(data, PreprocessingSettings())


def test_megapixels_above_all_limits_are_refused_whatever_the_format() -> None:
    with pytest.raises(PreprocessingError) as raised:
        decode_image(png_file(10_000, 5_000, bit_depth=1, colour_type=0), PreprocessingSettings())
    assert "50.0 megapixels (10000 x 5000); at most 40.0 are allowed" in str(raised.value)


def test_what_decoding_may_take_is_a_setting() -> None:
    data = encode(draw_photo(500, 400), "PNG")
    assert decode_image(data, SETTINGS).shape == (3, 32, 32)
    for limited in (replace(SETTINGS, max_decode_ms=1), replace(SETTINGS, max_decode_mb=1)):
        with pytest.raises(PreprocessingError, match="as a PNG; at most 0.. are allowed"):
            decode_image(data, limited)


def test_a_jpeg_of_a_shape_that_must_be_decoded_whole_is_charged_for_it() -> None:
    data = encode(Image.new("L", (60_000, 400)), "JPEG")
    assert decode_image(data, settings_for("pad")).shape == (3, 32, 32)
    tall = PreprocessingSettings(resize="squash")  # 400 px of 224: no half of it would do
    with pytest.raises(PreprocessingError, match="24.0 megapixels .* as a JPEG; at most"):
        decode_image(data, tall)


def test_a_photo_of_two_sizes_is_refused() -> None:
    data = encode(draw_photo(60, 40), "JPEG")
    start = data.index(b"\xff\xc0")
    frame = bytearray(data[start : start + 19])
    frame[5:9] = bytes([0, 8, 0, 8])
    with pytest.raises(PreprocessingError, match="broken"):
        decode_image(data[:start] + bytes(frame) + data[start:], SETTINGS)


def test_pillows_own_limit_gives_our_error_too() -> None:
    settings = PreprocessingSettings(max_pixels=10**12, max_decode_ms=10**9, max_decode_mb=10**9)
    size = b"".join(side.to_bytes(4, "big") for side in (60_000, 60_000))
    data = encode(draw_photo(8, 8), "PNG")
    data = data[:8] + png_chunk(b"IHDR", size + data[24:29]) + data[33:]
    with pytest.raises(PreprocessingError):
        decode_image(data, settings)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_the_pixel_limit_is_exact(file_format: str) -> None:
    data = encode(draw_photo(50, 20), file_format)
    assert decode_image(data, replace(SETTINGS, max_pixels=1000)).shape == (3, 32, 32)
    with pytest.raises(PreprocessingError, match=r"\(50 x 20\)"):
        decode_image(data, replace(SETTINGS, max_pixels=999))


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    data = encode(draw_photo(64, 64), "JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff", start + 14)
    scan = data[start:end]
    with pytest.raises(PreprocessingError, match="scans; at most 100 are allowed"):
        decode_image(data[:start] + scan * 200 + data[end:], SETTINGS)


def test_a_bad_photo_does_not_disturb_its_batch() -> None:
    good = [encode(draw_photo(40, 30), "JPEG"), encode(draw_photo(30, 50), "PNG")]
    first, second, third = decode_images([good[0], b"not a photo", good[1]], SETTINGS)
    assert isinstance(second, PreprocessingError)
    np.testing.assert_array_equal(first, decode_image(good[0], SETTINGS))
    np.testing.assert_array_equal(third, decode_image(good[1], SETTINGS))
    assert decode_images([], SETTINGS) == []


def test_pixels_are_contiguous_uint8_and_may_be_written() -> None:
    pixels = decode_image(encode(draw_photo(40, 30), "JPEG"), SETTINGS)
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and pixels.flags.writeable


def test_threads_decode_alike() -> None:
    files = [encode(draw_photo(40 + i, 90 - i), "JPEG") for i in range(8)]
    alone = decode_images(files, SETTINGS)
    together: dict[int, list[npt.NDArray[np.uint8] | PreprocessingError]] = {}

    def work(name: int) -> None:
        together[name] = decode_images(files, SETTINGS)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results in together.values():
        for found, expected in zip(results, alone, strict=True):
            assert not isinstance(found, PreprocessingError)
            np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_preprocessing_imports_no_torch() -> None:
    modules = ("images", "texts", "tokens")
    imports = "; ".join(f"import twinshelf.training.preprocessing.{name}" for name in modules)
    code = f"import sys; {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
