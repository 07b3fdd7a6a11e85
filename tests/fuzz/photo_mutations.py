"""Photos broken in every way that a seed gives: the same seed and number give the same bytes."""

from __future__ import annotations

import functools
import random
import re
import zlib
from collections.abc import Callable
from typing import Literal

from PIL import Image

from tests.training.preprocessing.costly_photos import (
    BOMBS,
    animated_webp,
    encode,
    packed_text,
    png_file,
    progressive_jpeg,
    riff,
    shop_photo,
    webp_canvas,
)
from tests.training.preprocessing.golden import with_orientation

_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBP", b"GIF89a", b"%PDF")
_EDGES = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x3FFF, 0x4000, 0x7FFF, 0xFFFF, 0xFFFFFF, 0x7FFFFFFF)
_PNG_KINDS = (
    b"IHDR",
    b"PLTE",
    b"tRNS",
    b"IDAT",
    b"IEND",
    b"iCCP",
    b"zTXt",
    b"eXIf",
    b"acTL",
    b"fcTL",
)
_RIFF_KINDS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP", b"XMP ")
_JPEG_SEGMENT = re.compile(rb"\xff([\xc0-\xcf\xda-\xef\xfe])")
_LARGEST_SEED_BYTES = 64 * 1024


def make_photo(seed: int, number: int) -> bytes:
    """Returns the mutated photo of a number: one to four mutations of a sound or costly file."""
    rng = random.Random(f"photo {seed} {number}")
    data = rng.choice(seed_photos())
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(_MUTATIONS)(data, rng)
    return data


@functools.cache
def seed_photos() -> tuple[bytes, ...]:
    """Returns the files that are mutated: of every format and coding, small, and some costly."""
    photo, transparent = shop_photo(61, 40), shop_photo(40, 61, "RGBA")
    sound = [
        encode(photo, "JPEG", quality=70),
        encode(photo, "JPEG", progressive=True),
        encode(photo.convert("CMYK"), "JPEG", progressive=True),
        encode(photo.convert("L"), "JPEG", restart_marker_blocks=2),
        encode(photo, "MPO", save_all=True, append_images=[photo]),
        with_orientation(photo, 6, "JPEG"),
        with_orientation(photo, 5, "PNG"),
        with_orientation(photo, 8, "WEBP"),
        encode(photo, "PNG"),
        encode(transparent, "PNG"),
        encode(photo.quantize(16), "PNG", transparency=3),
        encode(photo.convert("1"), "PNG"),
        encode(photo, "PNG", save_all=True, append_images=[photo.rotate(90)]),
        png_file(61, 40, bit_depth=16, colour_type=6, extra=packed_text(5000)),
        encode(photo, "WEBP", quality=60),
        encode(transparent, "WEBP", quality=60),
        encode(transparent, "WEBP", lossless=True),
        encode(photo, "WEBP", save_all=True, append_images=[photo.rotate(180)]),
        animated_webp((64, 64), (8, 8), frame_count=3),
        riff(webp_canvas((61, 40), 0x10), (b"VP8L", encode(photo, "WEBP", lossless=True)[20:])),
        progressive_jpeg(64, 64, 20),
        encode(Image.new("RGB", (1, 3000)), "PNG"),
    ]
    costly = (make() for name, make in BOMBS.items() if "of one colour" not in name)
    return (*sound, *(data for data in costly if len(data) <= _LARGEST_SEED_BYTES))


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set_bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8))):
        if changed:
            # Headers stand at the start, and decide more than what follows.
            end = len(changed) if rng.random() < 0.5 else min(64, len(changed))
            changed[rng.randrange(end)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(changed)


def _set_number(data: bytes, rng: random.Random) -> bytes:
    width = rng.choice((2, 3, 4))
    end = len(data) if rng.random() < 0.3 else min(64, len(data))
    position = rng.randrange(max(1, end - width))
    value = rng.choice(_EDGES) & (256**width - 1)
    number = value.to_bytes(width, rng.choice(("big", "little")))
    return data[:position] + number + data[position + width :]


def _cut_off(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _cut_out(data: bytes, rng: random.Random) -> bytes:
    start, end = _pick_range(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start, end = _pick_range(data, rng)
    times = rng.choice((1, 2, 30))
    return (data[:end] + data[start:end] * times + data[end:])[:200_000]


def _insert(data: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(data) + 1)
    length = rng.choice((1, 4, 64, 3000))
    run = rng.choice((rng.randbytes(length), bytes(length), b"\xff" * length))
    return data[:position] + run + data[position:]


def _splice(data: bytes, rng: random.Random) -> bytes:
    other = rng.choice(seed_photos())
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _confuse_format(data: bytes, rng: random.Random) -> bytes:
    start = rng.choice(_STARTS)
    return start + data[len(start) if rng.random() < 0.7 else 0 :]


def _lie_about_length(data: bytes, rng: random.Random) -> bytes:
    """Writes a wrong length into a segment or chunk, wherever one begins."""
    order: Literal["little", "big"] = "big"
    if data.startswith(b"\xff\xd8"):
        found = [match.end() for match in _JPEG_SEGMENT.finditer(data)]
        width = 2
    elif data.startswith(b"\x89PNG"):
        found = [at - 4 for kind in _PNG_KINDS if (at := data.find(kind)) >= 4]
        width = 4
    else:
        found = [at + 4 for kind in _RIFF_KINDS if (at := data.find(kind)) >= 0]
        width, order = 4, "little"
    if not found:
        return _set_number(data, rng)
    position = rng.choice(found)
    length = int.from_bytes(data[position : position + width], order)
    wrong = rng.choice((*_EDGES, length + 1, length - 1, 2 * length)) & (256**width - 1)
    return data[:position] + wrong.to_bytes(width, order) + data[position + width :]


def _mutate_sound_chunk(data: bytes, rng: random.Random) -> bytes:
    """Changes, repeats, swaps or drops a chunk of a PNG and states the right checksum again."""
    chunks = _split_png(data)
    if len(chunks) < 2:
        return _flip_bits(data, rng)
    place = rng.randrange(len(chunks))
    kind, body = chunks[place]
    match rng.randrange(4):
        case 0:
            chunks[place] = kind, rng.choice(_MUTATIONS[:3])(body, rng)
        case 1:
            chunks[place:place] = [chunks[place]] * rng.choice((1, 5, 200))
        case 2:
            chunks[place] = rng.choice(_PNG_KINDS), body
        case _:
            chunks.insert(rng.randrange(len(chunks)), chunks.pop(place))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_join_png(*chunk) for chunk in chunks)


def _split_png(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks: list[tuple[bytes, bytes]] = []
    position = 8 if data.startswith(b"\x89PNG\r\n\x1a\n") else len(data)
    while position + 12 <= len(data) and len(chunks) < 1000:
        length = int.from_bytes(data[position : position + 4], "big")
        chunks.append((data[position + 4 : position + 8], data[position + 8 :][:length]))
        position += 12 + length
    return chunks


def _join_png(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body).to_bytes(4, "big")
    return len(body).to_bytes(4, "big") + kind + body + checksum


def _pick_range(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 4, 32, 500)))


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip_bits,
    _set_bytes,
    _set_number,
    _cut_off,
    _cut_out,
    _repeat,
    _insert,
    _splice,
    _confuse_format,
    _lie_about_length,
    _mutate_sound_chunk,
    _mutate_sound_chunk,
)
