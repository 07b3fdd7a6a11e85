"""Offers that are broken in named ways, made from bytes; and the message that carries any bytes."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from tests.soak.attacks import bomb
from tests.soak.offers import photo

TITLE: Final = b"washing gel rose 500 ml"
MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenOffer:
    """An offer and the way in which it is broken.

    Attributes:
        way: Its name.
        image: Photo; empty for none.
        text: Title; may be no UTF-8; empty for none.
        may_be_answered: Whether an answer is right too: what is odd need not be refused.
        may_be_answered_by_triton: The same for Triton, which cuts long texts and has no limits.
        is_message: Whether it can be a protobuf message, whose strings are UTF-8.
    """

    way: str
    image: bytes = b""
    text: bytes = b""
    may_be_answered: bool = False
    may_be_answered_by_triton: bool = False
    is_message: bool = True


def broken_offers(seed: int = 0) -> list[BrokenOffer]:
    """Returns an offer for each way in which an offer can be broken."""
    chance = np.random.default_rng(seed)
    photos = {
        "first three bytes of a JPEG": b"\xff\xd8\xff",
        "GIF": b"GIF89a" + bytes(50),
        "truncated JPEG": _half(photo(200, 120, seed=seed)),
        "truncated WebP": _half(photo(200, 120, seed=seed, kind="WEBP")),
        "PNG with flipped bytes": _flipped(photo(200, 120, seed=seed, kind="PNG"), chance),
        "PNG header of 900 megapixels": _png_header(30_000, 30_000),
        "WebP of huge dimensions": bomb(16_384, 1),
        "BMP": photo(40, 30, seed=seed, kind="BMP"),
        "truncated CMYK JPEG": _half(_cmyk(seed)),
        "zeros": bytes(1000),
        "noise that begins as a JPEG": b"\xff\xd8\xff\xe0" + chance.bytes(MEBIBYTE),
        "no scan in a JPEG": photo(200, 120, seed=seed)[:160] + b"\xff\xd9",
    }
    made = [BrokenOffer(way=way, image=data, text=TITLE) for way, data in photos.items()]
    made += [
        BrokenOffer(way="broken photo alone", image=photos["GIF"]),
        BrokenOffer(way="animated WebP", image=bomb(), text=TITLE, may_be_answered=True),
        BrokenOffer(
            way="JPEG with flipped bytes",
            image=_flipped(photo(200, 120, seed=seed), chance),
            text=TITLE,
            may_be_answered=True,
        ),
    ]
    return made + _broken_texts(photo(64, 48, seed=seed), photos["GIF"])


def match_request(image: bytes, text: bytes, match_count: int = 10) -> bytes:
    """Returns a serialised MatchProductRequest that holds any bytes, also what is no UTF-8."""
    offer = (_field(1, image) if image else b"") + (_field(2, text) if text else b"")
    return _field(1, offer) + b"\x10" + _number(match_count)


def stream_request(request_id: str, request: bytes) -> bytes:
    """Returns a serialised MatchProductsRequest."""
    return _field(1, request_id.encode()) + _field(2, request)


def _broken_texts(image: bytes, broken: bytes) -> list[BrokenOffer]:
    odd = {"NULs": bytes(40), "control characters": bytes(range(1, 9)) * 5}
    made = [
        BrokenOffer(way=way, text=text, may_be_answered=True, may_be_answered_by_triton=True)
        for way, text in odd.items()
    ]
    for way, text in {
        "text that is no UTF-8": b"gel \xff\xfe\x80 rose",
        "surrogates as UTF-8": b"gel \xed\xa0\x80 rose",
        "cut letter at the end": "гель".encode()[:-1],
    }.items():
        made.append(BrokenOffer(way=way, image=image, text=text, is_message=False))
    long_text = b"washing gel " * (MEBIBYTE // 12)
    made.append(
        BrokenOffer(way="text of 1 MB", image=image, text=long_text, may_be_answered_by_triton=True)
    )
    made.append(
        BrokenOffer(way="photo and text", image=broken, text=b"gel \xff\xfe", is_message=False)
    )
    return made


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flipped(data: bytes, chance: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in chance.integers(40, len(data), size=12):
        changed[place] ^= 0xFF
    return bytes(changed)


def _cmyk(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, size=(60, 80, 4), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "CMYK").save(buffer, "JPEG")
    return buffer.getvalue()


def _png_header(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(100))
    chunks = [
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (head, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _field(number: int, content: bytes) -> bytes:
    return _number(number << 3 | 2) + _number(len(content)) + content


def _number(value: int) -> bytes:
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])
