"""What a JPEG file says of itself before anything is decoded: size, colours, and how many scans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .settings import PreprocessingError

JPEG_START = b"\xff\xd8\xff"
# More than any camera or editor writes; each costs the reader a step of its own.
MAX_PART_COUNT = 20_000
# Start-of-frame markers; the gaps are Huffman tables, the JPG extension and arithmetic coding.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL_FRAMES = frozenset({0xC0, 0xC1})
_PROGRESSIVE_FRAME = 0xC2
# Markers that stand alone, without a length: TEM, restart markers, start of image.
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN, _END = 0xDA, 0xD9
_EXIF_SEGMENTS = (b"\xe1Exif\0\0", b"\xe2MPF\0")
# Inside coded data 0xFF is followed by zero or by a marker that stands alone. Of fill bytes only
# the last is looked at: a pattern for runs would search a run again from each of its bytes.
_NEXT_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegHeader:
    """Size and coding of a JPEG file.

    Attributes:
        width_px: Width before any rotation.
        height_px: Height before any rotation.
        is_progressive: Whether the file sharpens the photo scan by scan.
        scan_count: Scans of a file that keeps the whole photo in memory between them; 1 for a file
            that is decoded in one go.
        kept_samples_per_pixel: Samples of all colours that are kept in memory until the last scan;
            0 for a file that is decoded in one go.
        scanned_samples_per_pixel: How many of them all scans together walk over.
        refined_samples_per_pixel: How many of these walks refine what an earlier scan left.
        metadata_bytes: Length of all that stands before the first scan.
        exif_bytes: Length of EXIF and of the list of pictures of a file that holds several.
        part_count: Steps in which what stands before the first scan is read: segments, and single
            bytes that belong to none.
    """

    width_px: int
    height_px: int
    is_progressive: bool = False
    scan_count: int = 1
    kept_samples_per_pixel: float = 0.0
    scanned_samples_per_pixel: float = 0.0
    refined_samples_per_pixel: float = 0.0
    metadata_bytes: int = 0
    exif_bytes: int = 0
    part_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    marker: int
    width_px: int
    height_px: int
    colour_count: int
    samples_per_pixel: float  # of all colours
    samples_by_name: dict[int, float]  # the largest where colours share a name


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Reads the header of a JPEG file.

    Args:
        data: The file's bytes, or as many of them as hold the header.

    Returns:
        The header; None when the bytes end inside it.

    Raises:
        PreprocessingError: If the file is coded in a way that shops cannot show, or is made of very
            many parts.
    """
    frame: _Frame | None = None
    exif_bytes = part_count = position = 0
    for marker, position, step_count in _walk_segments(data):
        part_count += step_count
        if marker in _FRAMES and frame is None:
            frame = _read_frame(data, position, marker)
            if frame is None:
                return None
        if data.startswith(_EXIF_SEGMENTS, position + 1):
            exif_bytes += int.from_bytes(data[position + 2 : position + 4], "big")
    if frame is None:
        return None
    scan_count, scanned, refined = _count_scans(data, position, frame)
    return JpegHeader(
        width_px=frame.width_px,
        height_px=frame.height_px,
        is_progressive=frame.marker == _PROGRESSIVE_FRAME,
        scan_count=max(scan_count, 1),
        kept_samples_per_pixel=frame.samples_per_pixel if scan_count else 0.0,
        scanned_samples_per_pixel=scanned,
        refined_samples_per_pixel=refined,
        metadata_bytes=position,
        exif_bytes=exif_bytes,
        part_count=part_count,
    )


def _walk_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields marker, its position and the steps to it, up to the first scan or the end."""
    end = position = 2
    part_count = 0
    while (position := data.find(b"\xff", end)) != -1 and position + 2 <= len(data):
        marker = data[position + 1]
        step_count = position - end + 1
        part_count += step_count
        if part_count > MAX_PART_COUNT:
            raise PreprocessingError(
                f"image is a JPEG whose header has more than {MAX_PART_COUNT} parts"
            )
        yield marker, position, step_count
        if marker in (_SCAN, _END):
            return
        if marker in (0x00, 0xFF):  # fill bytes
            end = position + 1
        elif marker in _ALONE:
            end = position + 2
        else:
            end = _segment_end(data, position)


def _segment_end(data: bytes, position: int) -> int:
    length = int.from_bytes(data[position + 2 : position + 4], "big")
    return position + 2 + max(length, 2)


def _read_frame(data: bytes, position: int, marker: int) -> _Frame | None:
    """Reads size and colours; a colour may be stored at fewer samples than the photo has pixels."""
    if marker not in _SEQUENTIAL_FRAMES and marker != _PROGRESSIVE_FRAME:
        raise PreprocessingError(
            "image is a lossless, hierarchical or arithmetic-coded JPEG; expected a baseline or "
            "progressive one"
        )
    if position + 9 > len(data):
        return None
    parts = data[position + 10 : _segment_end(data, position)]
    colours = [
        (parts[i], parts[i + 1] >> 4, parts[i + 1] & 15) for i in range(0, len(parts) - 2, 3)
    ]
    widest = max((across for _, across, _ in colours), default=1) or 1
    tallest = max((down for _, _, down in colours), default=1) or 1
    samples_by_name: dict[int, float] = {}
    for name, across, down in colours:
        samples = across * down / (widest * tallest)
        samples_by_name[name] = max(samples, samples_by_name.get(name, 0.0))
    return _Frame(
        marker=marker,
        height_px=int.from_bytes(data[position + 5 : position + 7], "big"),
        width_px=int.from_bytes(data[position + 7 : position + 9], "big"),
        colour_count=len(colours),
        samples_per_pixel=sum(across * down for _, across, down in colours) / (widest * tallest),
        samples_by_name=samples_by_name,
    )


def _count_scans(data: bytes, position: int, frame: _Frame) -> tuple[int, float, float]:
    """Counts scans and the samples that they walk over and refine; 0 when one scan holds all."""
    names, _, _ = _read_scan(data, position)
    if frame.marker != _PROGRESSIVE_FRAME and len(names) == frame.colour_count:
        return 0, 0.0, 0.0
    scan_count = part_count = 0
    scanned = refined = 0.0
    while (marker := _NEXT_MARKER.search(data, position)) is not None and marker[1] != b"\xd9":
        part_count += 1
        if part_count > MAX_PART_COUNT:
            raise PreprocessingError(f"image is a JPEG of more than {MAX_PART_COUNT} parts")
        start = marker.end() - 2
        position = _segment_end(data, start)
        if marker[1] != b"\xda":
            continue
        scan_count += 1
        names, (first, *_), step = _read_scan(data, start)
        walked = sum(frame.samples_by_name.get(name, 0.0) for name in names)
        scanned += walked
        refined += walked if first and step >> 4 else 0.0
    return scan_count, scanned, refined


def _read_scan(data: bytes, position: int) -> tuple[bytes, bytes, int]:
    """Colours of a scan, first and last of its frequencies, and which bits it brings."""
    end = position + 5 + 2 * data[position + 4] if position + 4 < len(data) else len(data)
    band = data[end : end + 3].ljust(3, b"\0")
    return data[position + 5 : end : 2], band[:2], band[2]
