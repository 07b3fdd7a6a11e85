"""What a JPEG file says of itself before anything is decoded: size, colours, and how many scans."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .image_cost import ImageHeader, check_part_count
from .settings import PreprocessingError

# Start-of-frame markers; the gaps are Huffman tables, the JPG extension and arithmetic coding.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE_FRAME = 0xC2
_SHOWN_FRAMES = frozenset({0xC0, 0xC1, _PROGRESSIVE_FRAME})
# Markers that stand alone, without a length: TEM, restart markers, start of image.
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN, _END = 0xDA, 0xD9
_EXIF_SEGMENTS = (b"\xe1Exif\0\0", b"\xe2MPF\0")
# Inside coded data 0xFF is followed by zero or by a marker that stands alone. Of fill bytes only
# the last is looked at: a pattern for runs would search a run again from each of its bytes.
_NEXT_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")


def read_jpeg_header(data: bytes) -> ImageHeader | None:
    """Reads the header of a JPEG file.

    Args:
        data: The file's bytes, or as many of them as hold the header.

    Returns:
        The header; None when the bytes end inside it.

    Raises:
        PreprocessingError: If the file is coded in a way that shops cannot show, or is made of very
            many parts.
    """
    segments = list(_walk_segments(data))
    frames = [(marker, start) for marker, start, _ in segments if marker in _FRAMES]
    if not frames:
        return None
    kind, frame = frames[0]
    if kind not in _SHOWN_FRAMES:
        raise PreprocessingError(
            "image is a lossless, hierarchical or arithmetic-coded JPEG; expected a baseline or "
            "progressive one"
        )
    if frame + 9 > len(data):
        return None
    is_progressive = kind == _PROGRESSIVE_FRAME
    _, position, part_count = segments[-1]
    colours = _read_colours(data, frame)
    scan_count, scanned, refined = _count_scans(data, position, colours, is_progressive)
    return ImageHeader(
        format="JPEG",
        width_px=_read_number(data, frame + 7),
        height_px=_read_number(data, frame + 5),
        is_progressive=is_progressive,
        file_bytes=len(data),
        metadata_bytes=position,
        exif_bytes=sum(
            _read_number(data, start + 2)
            for _, start, _ in segments
            if data.startswith(_EXIF_SEGMENTS, start + 1)
        ),
        part_count=part_count,
        scan_count=max(scan_count, 1),
        kept_samples_per_pixel=sum(samples for _, samples in colours) if scan_count else 0.0,
        scanned_samples_per_pixel=scanned,
        refined_samples_per_pixel=refined,
    )


def _walk_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields marker, its position and the steps so far, up to the first scan or the end."""
    end, part_count = 2, 0
    while (position := data.find(b"\xff", end)) != -1 and position + 2 <= len(data):
        marker = data[position + 1]
        part_count += position - end + 1
        check_part_count(part_count)
        yield marker, position, part_count
        if marker in (_SCAN, _END):
            return
        if marker in (0x00, 0xFF):  # fill bytes
            end = position + 1
        elif marker in _ALONE:
            end = position + 2
        else:
            end = _segment_end(data, position)


def _read_number(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 2], "big")


def _segment_end(data: bytes, position: int) -> int:
    return position + 2 + max(_read_number(data, position + 2), 2)


def _read_colours(data: bytes, frame: int) -> list[tuple[int, float]]:
    """Name and samples per pixel of each colour, which may be fewer than the photo has pixels."""
    parts = data[frame + 10 : _segment_end(data, frame)]
    sides = [(parts[i], parts[i + 1] >> 4, parts[i + 1] & 15) for i in range(0, len(parts) - 2, 3)]
    widest = max((across for _, across, _ in sides), default=1) or 1
    tallest = max((down for _, _, down in sides), default=1) or 1
    return [(name, across * down / (widest * tallest)) for name, across, down in sides]


def _count_scans(
    data: bytes, position: int, colours: list[tuple[int, float]], is_progressive: bool
) -> tuple[int, float, float]:
    """Counts scans and the samples that they walk over and refine; 0 when one scan holds all."""
    names, _, _ = _read_scan(data, position)
    if not is_progressive and len(names) == len(colours):
        return 0, 0.0, 0.0
    # The largest where colours share a name.
    samples_by_name = dict(sorted(colours, key=lambda colour: colour[1]))
    scan_count = part_count = 0
    scanned = refined = 0.0
    while (marker := _NEXT_MARKER.search(data, position)) is not None and marker[1] != b"\xd9":
        part_count += 1
        check_part_count(part_count)
        start = marker.end() - 2
        position = _segment_end(data, start)
        if marker[1] != b"\xda":
            continue
        scan_count += 1
        names, (first, *_), step = _read_scan(data, start)
        walked = sum(samples_by_name.get(name, 0.0) for name in names)
        scanned += walked
        refined += walked if first and step >> 4 else 0.0
    return scan_count, scanned, refined


def _read_scan(data: bytes, position: int) -> tuple[bytes, bytes, int]:
    """Colours of a scan, first and last of its frequencies, and which bits it brings."""
    end = position + 5 + 2 * data[position + 4] if position + 4 < len(data) else len(data)
    band = data[end : end + 3].ljust(3, b"\0")
    return data[position + 5 : end : 2], band[:2], band[2]
