"""Photo files made to cost much: large ones of few bytes, and small ones that are slow to read.

`python -m tests.training.preprocessing.costly_photos` prints what decoding each takes beside what
its header told; `--huge` lifts the limits, so that what is refused is measured too.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from twinshelf.training.preprocessing.image_cost import estimate_cost
from twinshelf.training.preprocessing.image_header import read_image_header
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import PreprocessingError, PreprocessingSettings

Size = tuple[int, int]
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Returns a chunk of a PNG file with its checksum."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def packed_text(length: int, end: str = "") -> bytes:
    """Returns a PNG chunk with so many characters, all the same, and of any alphabet at the end."""
    if end:
        text = zlib.compress(bytes(length) + end.encode(), 9)
        return png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + text)
    return png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(length), 9))


def png_file(
    width: int,
    height: int,
    *,
    bit_depth: int = 8,
    colour_type: int = 2,
    row_filter: int = 4,
    value_count: int | None = None,
    extra: bytes = b"",
) -> bytes:
    """Returns a PNG file of one repeated random row, or of random bytes below `value_count`."""
    length = (width * bit_depth * _CHANNELS[colour_type] + 7) // 8
    generator = np.random.default_rng(0)
    packer = zlib.compressobj(1)
    if value_count is None:
        packed = packer.compress((bytes([row_filter]) + generator.bytes(length)) * height)
    else:
        rows = generator.integers(0, value_count, (height, 1 + length), dtype=np.uint8)
        rows[:, 0] = row_filter
        packed = packer.compress(rows.tobytes())
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    header = png_chunk(b"IHDR", size + bytes([bit_depth, colour_type, 0, 0, 0]))
    palette = png_chunk(b"PLTE", bytes(768)) if colour_type == 3 else b""
    body = extra + palette + png_chunk(b"IDAT", packed + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + header + body + png_chunk(b"IEND", b"")


def jpeg_segment(marker: int, data: bytes) -> bytes:
    """Returns a segment of a JPEG file."""
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


def progressive_jpeg(width: int, height: int, refining_scans: int, halves: bool = True) -> bytes:
    """Returns a grey progressive JPEG whose scans say nothing and are walked all the same."""
    factor = b"\x22" if halves else b"\x11"
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    colours = b"\x01" + factor + b"\0\x02\x11\0\x03\x11\0"
    side = 16 if halves else 8
    blocks = -(-width // side) * -(-height // side) * (6 if halves else 3)
    grey_blocks = -(-width // 8) * -(-height // 8)
    # One code of one bit: for a first coefficient of zero, and for 16,384 blocks without any.
    first_table, run_table = (
        jpeg_segment(0xC4, kind + b"\x01" + bytes(15) + value)
        for kind, value in ((b"\0", b"\0"), (b"\x10", b"\xe0"))
    )
    first_scan = jpeg_segment(0xDA, b"\x03\x01\0\x02\0\x03\0\0\0\0") + bytes(blocks // 8 + 1)
    refining = jpeg_segment(0xDA, b"\x01\x01\0\x01\x3f\x10") + bytes(grey_blocks * 15 // 131072 + 2)
    return (
        b"\xff\xd8"
        + jpeg_segment(0xDB, b"\0" + b"\x01" * 64)
        + jpeg_segment(0xC2, b"\x08" + size + b"\x03" + colours)
        + first_table
        + run_table
        + first_scan
        + refining * refining_scans
        + b"\xff\xd9"
    )


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Returns a WebP file of chunks."""
    body = b"WEBP" + b"".join(_riff_chunk(kind, data) for kind, data in chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def animated_webp(canvas: Size, frame: Size, frame_count: int = 1, flags: int = 0x02) -> bytes:
    """Returns an animation of small frames of one colour on a canvas."""
    image = encode(Image.new("RGB", frame), "WEBP", lossless=True)
    place = bytes(6) + _u24(frame[0] - 1) + _u24(frame[1] - 1) + _u24(1) + b"\0"
    frames = [(b"ANMF", place + image[12:])] * frame_count
    return riff(webp_canvas(canvas, flags), (b"ANIM", b"\1\2\3\x80\0\0"), *frames)


def lossless_stream(side: int, tile_bits: int, transforms: str = "") -> bytes:
    """Returns lossless pixels of one colour, with a group of prefix codes for each tile."""
    count = (side + (1 << tile_bits) - 1) >> tile_bits
    one_symbol = "1000"
    # Its 256 lengths are all 8, and so take no bits themselves.
    flat = "0" + write_bits((8, 4), *[(0, 3)] * 11, (1, 3), (1, 1), (3, 3), (254, 8))
    tiles = "".join(f"{n & 255:08b}{n >> 8:08b}" for n in range(count**2))
    groups = "0" + flat * 2 + one_symbol * 3 + tiles + 5 * one_symbol * count**2
    bits = transforms + "0" + write_bits((1, 1), (11, 4), (1, 1), (tile_bits - 2, 3)) + groups
    return int(bits[::-1], 2).to_bytes(len(bits) // 8 + 1, "little")


def lossless_chunk(side: int, tile_bits: int, transforms: str = "") -> tuple[bytes, bytes]:
    """Returns such pixels as the chunk of a WebP file."""
    start = b"\x2f" + (side - 1 | (side - 1) << 14).to_bytes(4, "little")
    return b"VP8L", start + lossless_stream(side, tile_bits, transforms)


def write_bits(*numbers: tuple[int, int]) -> str:
    """Returns numbers of so many bits each, their lowest bits first."""
    return "".join(f"{number:0{bit_count}b}"[::-1] for number, bit_count in numbers)


def webp_canvas(size: Size, flags: int) -> tuple[bytes, bytes]:
    """Returns the chunk that states the canvas of an extended WebP file."""
    return b"VP8X", bytes([flags, 0, 0, 0]) + _u24(size[0] - 1) + _u24(size[1] - 1)


def exif_of_many_tags(tag_count: int, length: int) -> bytes:
    """Returns EXIF of so many tags, each of which says that it is long."""
    tags = (n.to_bytes(2, "big") + b"\0\x07\0\0\0\xfa\0\0\0\x08" for n in range(tag_count))
    directory = b"MM\0*\0\0\0\x08" + tag_count.to_bytes(2, "big") + b"".join(tags)
    return directory + bytes(max(0, length - len(directory)))


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    """Returns a picture as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def shop_photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Draws a photo with the grain of a camera."""
    generator = np.random.default_rng(1)
    small = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    grain = generator.integers(-6, 7, (height, width, 1), dtype=np.int16)
    pixels = np.asarray(image).astype(np.int16) + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)


def _riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)


def _u24(value: int) -> bytes:
    return value.to_bytes(3, "little")


def _after_start(data: bytes, start: int, inserted: bytes) -> bytes:
    return data[:start] + inserted + data[start:]


_SMALL_JPEG = encode(Image.new("RGB", (64, 64)), "JPEG")
_SMALL_PNG = encode(Image.new("RGB", (64, 64)), "PNG")
_SMALL_WEBP = encode(Image.new("RGB", (8, 8)), "WEBP", lossless=True)[12:]
_LOSSLESS = (b"VP8L", _SMALL_WEBP[8:])

# Each is refused for its number of parts alone, before anything else is looked at.
MANY_PARTS = {
    "jpeg segments": _after_start(_SMALL_JPEG, 2, jpeg_segment(0xFE, b"") * 1_000_000),
    "jpeg fill bytes": _after_start(_SMALL_JPEG, 2, b"\xff" * 4_000_000),
    "jpeg stray bytes": _after_start(_SMALL_JPEG, 20, bytes(4_000_000)),
    "jpeg tables between scans": progressive_jpeg(64, 64, 1)[:-2]
    + jpeg_segment(0xC4, b"") * 1_000_000,
    "png chunks": _after_start(_SMALL_PNG, 33, png_chunk(b"abCd", b"") * 300_000),
    "png data chunks": _after_start(_SMALL_PNG, 33, png_chunk(b"IDAT", b"") * 300_000),
    "webp chunks": riff(webp_canvas((8, 8), 0), *[(b"abcd", b"")] * 100_000, _LOSSLESS),
    "webp frames": animated_webp((8, 8), (8, 8), frame_count=100_000),
}

# Files of at most 20 MB whose decoding, were it allowed, would take too much.
BOMBS: dict[str, Callable[[], bytes]] = {
    "animated webp of 39.7 megapixels": lambda: animated_webp((6300, 6300), (8, 8)),
    "animated webp, long": lambda: animated_webp((512, 65464), (8, 8), flags=0x12),
    "lossless webp of one colour": lambda: encode(
        Image.new("RGB", (6000, 6000)), "WEBP", lossless=True, method=0
    ),
    "webp of one colour": lambda: encode(Image.new("RGB", (6000, 6000)), "WEBP", method=0),
    "lossless webp of 65,536 groups of codes": lambda: riff(lossless_chunk(1024, 2)),
    "animated webp of 65,025 groups of codes": lambda: riff(
        webp_canvas((2040, 2040), 2),
        (b"ANIM", b"\1\2\3\x80\0\0"),
        (b"ANMF", bytes(6) + _u24(2039) * 2 + bytes(4) + _riff_chunk(*lossless_chunk(2040, 3))),
    ),
    "webp of 65,536 groups of codes of its transparency": lambda: riff(
        webp_canvas((1024, 1024), 0x10),
        (b"ALPH", b"\1" + lossless_stream(1024, 2)),
        (b"VP8 ", encode(Image.new("RGB", (1024, 1024)), "WEBP")[20:]),
    ),
    "png of 16-bit rgba": lambda: png_file(4000, 5000, bit_depth=16, colour_type=6),
    "png of one column": lambda: png_file(1, 6_000_000),
    "png of one row": lambda: png_file(6_000_000, 1),
    "png of rgb": lambda: png_file(5000, 4000),
    "progressive jpeg of 90 scans": lambda: progressive_jpeg(6000, 5000, 90),
    "progressive jpeg of whole colours": lambda: progressive_jpeg(7000, 5700, 0, halves=False),
    "png of 300 packed profiles": lambda: _after_start(
        _SMALL_PNG, 33, png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**6), 9)) * 300
    ),
    "png of packed texts": lambda: _after_start(_SMALL_PNG, 33, packed_text(10**6) * 300),
    "png of 60 packed texts with an emoji": lambda: _after_start(
        _SMALL_PNG, 33, packed_text(10**6, "\U0001f600") * 60
    ),
    "png of 8 megabytes of deflate's tables": lambda: _after_start(
        _SMALL_PNG, 33, png_chunk(b"IDAT", b"\x78\xda" + bytes(8 << 20))
    ),
    "png of long exif": lambda: _after_start(
        _SMALL_PNG, 33, png_chunk(b"eXIf", exif_of_many_tags(65_535, 2 << 20))
    ),
    "webp of long exif": lambda: riff(
        webp_canvas((8, 8), 8), _LOSSLESS, (b"EXIF", exif_of_many_tags(65_535, 2 << 20))
    ),
    "jpeg of much exif": lambda: _after_start(
        _SMALL_JPEG, 2, jpeg_segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08" + bytes(65_000)) * 200
    ),
    "jpeg of many picture resources": lambda: _after_start(
        _SMALL_JPEG,
        2,
        jpeg_segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xee\0\0\0\0\0\0" * 5000) * 200,
    ),
    "jpeg of many tables": lambda: _after_start(
        _SMALL_JPEG, 2, jpeg_segment(0xDB, (b"\0" + b"\1" * 64) * 900) * 200
    ),
}

# What shops send, and what comes close to a limit from below.
ACCEPTED: dict[str, Callable[[], bytes]] = {
    "jpeg 40 MP": lambda: encode(shop_photo(7300, 5470), "JPEG", quality=85),
    "jpeg 40 MP, whole colours, q95": lambda: encode(
        shop_photo(7300, 5470), "JPEG", quality=95, subsampling=0
    ),
    "progressive jpeg 40 MP, q75": lambda: encode(
        shop_photo(7300, 5470), "JPEG", quality=75, progressive=True
    ),
    "progressive jpeg 40 MP, q85": lambda: encode(
        shop_photo(7300, 5470), "JPEG", quality=85, progressive=True
    ),
    "progressive jpeg 24 MP, q90": lambda: encode(
        shop_photo(6000, 4000), "JPEG", quality=90, progressive=True
    ),
    "cmyk jpeg 12 MP": lambda: encode(shop_photo(4000, 3000, "CMYK"), "JPEG", quality=85),
    "png 8 MP": lambda: encode(shop_photo(3300, 2400), "PNG", compress_level=3),
    "png rgba 6 MP": lambda: encode(shop_photo(3000, 2000, "RGBA"), "PNG", compress_level=3),
    "png palette 16 MP": lambda: png_file(4000, 4000, colour_type=3, row_filter=0),
    "png, few values": lambda: png_file(3300, 2850, value_count=3),
    "png, many values": lambda: png_file(3000, 2300, value_count=100),
    "png of 16-bit rgba 4.6 MP": lambda: png_file(2400, 1900, bit_depth=16, colour_type=6),
    "png 65535 high": lambda: png_file(92, 65_535, colour_type=6),
    "webp 9 MP": lambda: encode(shop_photo(3600, 2500), "WEBP", quality=85),
    "lossless webp 8 MP": lambda: encode(
        shop_photo(3300, 2400), "WEBP", lossless=True, quality=20, method=1
    ),
    "animated webp 9 MP": lambda: animated_webp((3000, 3000), (1500, 1500), flags=0x12),
    "progressive jpeg of 60 scans, 5 MP": lambda: progressive_jpeg(2500, 2000, 60),
}


def _measure(path: Path, settings: PreprocessingSettings) -> tuple[float, float, str]:
    """Time of one core in milliseconds, memory in megabytes, and the answer."""
    data = path.read_bytes()
    for file_format in ("JPEG", "PNG", "WEBP"):  # what is loaded once is not the photo's
        decode_image(encode(Image.new("RGB", (8, 8)), file_format), settings)
    Path("/proc/self/clear_refs").write_text("5")
    before_mb = _peak_memory_mb()
    started_s = time.process_time()
    try:
        decode_image(data, settings)
        answer = "accepted"
    except PreprocessingError as error:
        answer = str(error)
    used_ms = 1e3 * (time.process_time() - started_s)
    return used_ms, _peak_memory_mb() - before_mb, answer


def _peak_memory_mb() -> float:
    [line] = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
    return int(line.split()[1]) / 1e3


def _estimate(data: bytes) -> str:
    try:
        header = read_image_header(data)
    except PreprocessingError:
        return "too many parts"
    if header is None:
        return "no header"
    cost = estimate_cost(header, 8)
    pixel_count = header.pixel_count
    return f"{cost.cpu_ms(pixel_count):6.0f} ms {cost.memory_mb(pixel_count):5.0f} MB"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table; each file is decoded in a process of its own, three times."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--huge", action="store_true", help="measure what is refused too")
    parser.add_argument("--file", type=Path, help="measure one file, in this process")
    options = parser.parse_args(arguments)
    settings = PreprocessingSettings()
    if options.huge:
        Image.MAX_IMAGE_PIXELS = None
        settings = replace(settings, max_decode_ms=10**6, max_decode_mb=10**6)
    if options.file is not None:
        sys.stdout.write(repr(_measure(options.file, settings)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo"
        for name, make in {**ACCEPTED, **BOMBS}.items():
            path.write_bytes(make())
            command = [sys.executable, "-W", "ignore", "-m", __spec__.name, "--file", str(path)]
            command += ["--huge"] * options.huge
            runs = [eval(subprocess.check_output(command, text=True)) for _ in range(3)]
            used_ms, memory_mb, answer = min(runs)
            size = f"{path.stat().st_size / 1e6:6.2f} MB"
            measured = f"{used_ms:6.0f} ms {memory_mb:5.0f} MB"
            told = _estimate(path.read_bytes())
            sys.stdout.write(f"{name:36} {size} | {measured} | {told} | {answer}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
