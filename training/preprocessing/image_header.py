"""What a photo file says of itself before anything is decoded: its format and its size.

Read here and not by Pillow, because Pillow reserves the canvas of a WebP file while it opens it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8\xff"
# Start-of-frame markers; the gaps are Huffman tables, the JPG extension and arithmetic coding.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers that stand alone, without a length: TEM, restart markers, start of image.
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_END = frozenset({0xD9, 0xDA})
_PROGRESSIVE_FRAMES = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# Inside coded data 0xFF is always followed by zero or by a restart marker.
_NEXT_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """Format and size of a photo file, as its header states them.

    Attributes:
        format: Format in Pillow's words.
        width_px: Width before any rotation.
        height_px: Height before any rotation.
        scan_count: Scans of a progressive JPEG, each of which decodes the whole photo again; 1 for
            every other file.
    """

    format: Literal["JPEG", "PNG", "WEBP"]
    width_px: int
    height_px: int
    scan_count: int = 1


def read_image_header(data: bytes) -> ImageHeader | None:
    """Reads the header of a JPEG, PNG or WebP file.

    Args:
        data: The file's bytes, or as many of them as hold the header.

    Returns:
        The header; None when the bytes are of another format or end inside the header.
    """
    if data.startswith(_PNG_START):
        return _read_png(data)
    if data.startswith(_JPEG_START):
        return _read_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp(data)
    return None


def is_known_format(data: bytes) -> bool:
    """Says whether the bytes begin as a JPEG, PNG or WebP file does, whole or broken."""
    return data.startswith((_PNG_START, _JPEG_START)) or (
        data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    )


def _read_png(data: bytes) -> ImageHeader | None:
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    return ImageHeader(
        format="PNG",
        width_px=int.from_bytes(data[16:20], "big"),
        height_px=int.from_bytes(data[20:24], "big"),
    )


def _read_jpeg(data: bytes) -> ImageHeader | None:
    position = 2
    while (position := data.find(b"\xff", position)) != -1 and position + 9 <= len(data):
        marker = data[position + 1]
        if marker in _JPEG_FRAMES:
            return ImageHeader(
                format="JPEG",
                height_px=int.from_bytes(data[position + 5 : position + 7], "big"),
                width_px=int.from_bytes(data[position + 7 : position + 9], "big"),
                scan_count=_count_scans(data, position) if marker in _PROGRESSIVE_FRAMES else 1,
            )
        if marker in _JPEG_END:
            return None
        if marker in (0x00, 0xFF):  # fill bytes
            position += 1
        elif marker in _JPEG_ALONE:
            position += 2
        else:
            length = int.from_bytes(data[position + 2 : position + 4], "big")
            position += 2 + max(length, 2)
    return None


def _count_scans(data: bytes, position: int) -> int:
    """Counts the scans from the frame marker at `position` to the end of the image."""
    scan_count = 0
    while (marker := _NEXT_JPEG_MARKER.search(data, position)) is not None:
        if marker[1] == b"\xd9":
            break
        scan_count += marker[1] == b"\xda"
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        position = marker.end() + max(length, 2)
    return scan_count


def _read_webp(data: bytes) -> ImageHeader | None:
    if len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8X":
            width = 1 + int.from_bytes(data[24:27], "little")
            height = 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width = int.from_bytes(data[26:28], "little") & 0x3FFF
            height = int.from_bytes(data[28:30], "little") & 0x3FFF
        case _:
            return None
    return ImageHeader(format="WEBP", width_px=width, height_px=height)
