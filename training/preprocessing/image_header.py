"""What a photo file says of itself before anything is decoded: format, size, what decoding takes.

Read here and not by Pillow, because Pillow reserves the canvas of a WebP file while it opens it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from .image_cost import ImageHeader, check_part_count
from .jpeg_header import read_jpeg_header
from .lossless_header import count_code_groups
from .settings import PreprocessingError

_JPEG_START, _PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PNG_DEFLATED = frozenset({b"zTXt", b"iTXt", b"iCCP"})
# What a packed text or profile unpacks to at most: as deflate can, and as Pillow allows.
_DEFLATE_RATIO, _MAX_UNPACKED_BYTES = 1032, 1 << 20
_BYTES_PER_CHARACTER = 4  # of a text that holds a single emoji
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"fdAT", b"IEND"})
_ANIMATION_FLAG = 0x02  # of VP8X
_PACKED_ALPHA = 1  # of ALPH, in the lowest two bits


def read_image_header(data: bytes) -> ImageHeader | None:
    """Reads the header of a JPEG, PNG or WebP file.

    Args:
        data: The file's bytes, or as many of them as hold the header.

    Returns:
        The header; None when the bytes end inside it.

    Raises:
        PreprocessingError: If the bytes are of another format, or the file is made of very many
            parts, or is a JPEG that shops cannot show.
    """
    if data.startswith(_PNG_START):
        return _read_png(data)
    if data.startswith(_JPEG_START):
        return read_jpeg_header(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp(data)
    raise PreprocessingError("image is not a JPEG, PNG or WebP file")


def _read_png(data: bytes) -> ImageHeader | None:
    if len(data) < 26 or data[12:16] != b"IHDR":
        return None
    chunks = list(_walk_chunks(data, len(_PNG_START), "big"))
    kinds = [kind for kind, _, _ in chunks]
    if kinds.count(b"IHDR") > 1:  # the second could undo the first
        return None
    sizes = Counter[bytes]()
    for kind, _, length in chunks:
        sizes[kind] += length
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    bytes_per_pixel = data[24] * _PNG_CHANNELS.get(data[25], 4) / 8
    pixel_bytes = int(width * height * bytes_per_pixel) + 2 * height  # with each row's filter
    return ImageHeader(
        format="PNG",
        width_px=width,
        height_px=height,
        is_animated=b"acTL" in kinds,
        bytes_per_pixel=bytes_per_pixel,
        file_bytes=len(data),
        metadata_bytes=sum(size for kind, size in sizes.items() if kind not in _PNG_PIXELS),
        exif_bytes=sizes[b"eXIf"],
        part_count=len(chunks),
        unpacked_bytes=sum(_unpacked_bytes(data, *each) for each in chunks),
        surplus_bytes=max(0, sizes[b"IDAT"] - pixel_bytes),
    )


def _unpacked_bytes(data: bytes, kind: bytes, start: int, length: int) -> int:
    """What a text or profile takes at most that is unpacked as the file is opened."""
    if kind not in _PNG_DEFLATED:
        return 0
    unpacked_bytes = min(_DEFLATE_RATIO * length, _MAX_UNPACKED_BYTES)
    if kind != b"iTXt":
        return unpacked_bytes
    flag = data.find(b"\0", start, start + length) + 1  # behind the name
    is_packed = flag > 0 and data[flag : flag + 1] != b"\0"
    return _BYTES_PER_CHARACTER * unpacked_bytes if is_packed else 0


def _read_webp(data: bytes) -> ImageHeader | None:
    if len(data) < 30:
        return None
    exif_bytes = part_count = code_group_count = 0
    is_animated = False
    is_lossless = data[12:16] == b"VP8L"
    match data[12:16]:
        case b"VP8X":
            width, height = _read_sides(data, 24)
            is_animated = bool(data[20] & _ANIMATION_FLAG)
            first: dict[tuple[bytes, bytes], int] = {}
            end = 8 + int.from_bytes(data[4:8], "little")
            for kind, start, length in _walk_chunks(data[:end], 12, "little"):
                part_count += 1
                exif_bytes += length if kind == b"EXIF" else 0
                picture = data[start + 16 : start + 20] if kind == b"ANMF" else kind
                first.setdefault((kind, picture), start)
            pictures = {picture for _, picture in first}
            is_lossless = b"VP8L" in pictures and not {b"VP8 ", b"ALPH"} & pictures
            counts = (_count_groups(data, *each, start) for each, start in first.items())
            code_group_count = max(counts, default=0)
        case b"VP8L":
            width, height = _lossless_sides(data, 20)
            code_group_count = count_code_groups(data, 25, width, height)
        case b"VP8 ":
            width = int.from_bytes(data[26:28], "little") & 0x3FFF
            height = int.from_bytes(data[28:30], "little") & 0x3FFF
        case _:
            return None
    return ImageHeader(
        format="WEBP",
        width_px=width,
        height_px=height,
        is_animated=is_animated,
        is_lossless=is_lossless,
        code_group_count=code_group_count,
        file_bytes=len(data),
        exif_bytes=exif_bytes,
        part_count=part_count,
    )


def _count_groups(data: bytes, kind: bytes, picture: bytes, start: int) -> int:
    """Groups of prefix codes of a picture, or of the transparency of one, in a chunk or a frame."""
    sides = 24  # of the canvas
    if kind == b"ANMF":
        sides, start = start + 6, start + 24
    if picture == b"VP8L":
        return count_code_groups(data, start + 5, *_lossless_sides(data, start))
    coding = int.from_bytes(data[start : start + 1], "little") & 3
    if picture == b"ALPH" and coding == _PACKED_ALPHA:
        return count_code_groups(data, start + 1, *_read_sides(data, sides))
    return 0


def _read_sides(data: bytes, start: int) -> tuple[int, int]:
    width, height = data[start : start + 3], data[start + 3 : start + 6]
    return 1 + int.from_bytes(width, "little"), 1 + int.from_bytes(height, "little")


def _lossless_sides(data: bytes, start: int) -> tuple[int, int]:
    bits = int.from_bytes(data[start + 1 : start + 5], "little")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)


def _walk_chunks(
    data: bytes, position: int, byte_order: Literal["big", "little"]
) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind, start and length of each chunk of a PNG (big) or WebP (little) file."""
    part_count = 0
    while position + 8 <= len(data):
        part_count += 1
        check_part_count(part_count)
        first, second = data[position : position + 4], data[position + 4 : position + 8]
        kind, size = (second, first) if byte_order == "big" else (first, second)
        length = int.from_bytes(size, byte_order)
        yield kind, position + 8, min(length, len(data) - position)
        if kind == b"IEND":  # what follows the picture of a PNG is none of it
            return
        # A PNG chunk is followed by its checksum; a WebP chunk is filled up to an even length.
        position += 8 + length + (4 if byte_order == "big" else length % 2)
