"""What a photo's header tells, and what decoding takes by it: time of one core, and memory.

Megapixels alone say little: one of a baseline JPEG takes a tenth of what one of a PNG takes, and a
photo without detail is a file of a few bytes. The figures below are upper bounds measured with
Pillow 13 on one core of a server, over ordinary photos and over files made to be slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .settings import PreprocessingError

# More than any camera or editor writes; each costs the reader a step of its own.
_MAX_PART_COUNT = 20_000
# Nanoseconds, which are milliseconds per megapixel or per megabyte, and bytes of memory.
_PRICES = {
    "metadata_bytes": (60.0, 8.0),  # bytes, text, and what the reader makes of it
    "exif_bytes": (350.0, 8.0),
    "part_count": (4_000.0, 0.0),
    "unpacked_bytes": (3.0, 1.0),
    # Deflate may bring tables for no pixels at all. An honest file has no surplus, and of a file
    # that hides them among pixels too little is asked: were it asked of all, large photos would be
    # refused.
    "surplus_bytes": (70.0, 0.0),
    # Tables of a group of prefix codes, and as many colours in its cache as there can be.
    "code_group_count": (12_500.0, 5_600.0),
    "longer_side_px": (250.0, 60.0),  # rows, and the weights of a resize, have a price of their own
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """Format and size of a photo file, as its header states them, and what decoding it takes.

    Attributes:
        format: Format in Pillow's words.
        width_px: Width before any rotation; of an animation that of the canvas.
        height_px: Height before any rotation; of an animation that of the canvas.
        is_animated: Whether a PNG or WebP file states that it is an animation.
        is_lossless: Whether a WebP file is coded without loss.
        is_progressive: Whether a JPEG file sharpens the photo scan by scan.
        code_group_count: Groups of prefix codes of what a WebP file codes without loss.
        bytes_per_pixel: Bytes of a pixel of a PNG before they are packed, 0.125 to 8; else 0.
        file_bytes: Length of the file.
        metadata_bytes: Length of what does not make pixels, of a JPEG of all before its first scan;
            of a WebP file it is not counted.
        exif_bytes: Length of its EXIF, of a JPEG also of the list of the pictures that it holds.
        part_count: Parts, segments or chunks, that are read one by one; of a JPEG those before the
            first scan, and single bytes there that belong to none.
        unpacked_bytes: What packed texts and profiles of a PNG take at most.
        surplus_bytes: By how much the packed pixels of a PNG are longer than its pixels.
        scan_count: Scans of a JPEG that keeps the whole photo in memory between them; 1 for a file
            that is decoded in one go.
        kept_samples_per_pixel: Samples of all colours that such a JPEG keeps in memory until the
            last scan; else 0.
        scanned_samples_per_pixel: How many of them all scans together walk over.
        refined_samples_per_pixel: How many of these walks refine what an earlier scan left.
    """

    format: Literal["JPEG", "PNG", "WEBP"]
    width_px: int
    height_px: int
    is_animated: bool = False
    is_lossless: bool = False
    is_progressive: bool = False
    code_group_count: int = 0
    bytes_per_pixel: float = 0.0
    file_bytes: int = 0
    metadata_bytes: int = 0
    exif_bytes: int = 0
    part_count: int = 0
    unpacked_bytes: int = 0
    surplus_bytes: int = 0
    scan_count: int = 1
    kept_samples_per_pixel: float = 0.0
    scanned_samples_per_pixel: float = 0.0
    refined_samples_per_pixel: float = 0.0

    @property
    def pixel_count(self) -> int:
        """Pixels of the photo as stored."""
        return self.width_px * self.height_px

    @property
    def longer_side_px(self) -> int:
        """Width or height."""
        return max(self.width_px, self.height_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingCost:
    """What decoding takes: a part that grows with the pixels, and one that does not.

    Attributes:
        ns_per_pixel: CPU time of each pixel, nanoseconds.
        fixed_ms: CPU time besides, milliseconds: for the bytes of the file.
        bytes_per_pixel: Memory for each pixel at the peak.
        fixed_mb: Memory besides, megabytes, without the file itself.
    """

    ns_per_pixel: float
    fixed_ms: float
    bytes_per_pixel: float
    fixed_mb: float

    def cpu_ms(self, pixel_count: int) -> float:
        """Time of one core for so many pixels, milliseconds."""
        return self.fixed_ms + self.ns_per_pixel * pixel_count / 1e6

    def memory_mb(self, pixel_count: int) -> float:
        """Memory at the peak for so many pixels, megabytes."""
        return self.fixed_mb + self.bytes_per_pixel * pixel_count / 1e6

    def affordable_pixels(self, max_cpu_ms: float, max_memory_mb: float) -> int:
        """How many pixels keep to both limits; 0 when none do."""
        by_time = (max_cpu_ms - self.fixed_ms) * 1e6 / self.ns_per_pixel
        by_memory = (max_memory_mb - self.fixed_mb) * 1e6 / self.bytes_per_pixel
        return max(0, int(min(by_time, by_memory)))


def check_part_count(part_count: int) -> None:
    """Stops the reading of a header that is made of very many parts.

    Raises:
        PreprocessingError: If there are too many.
    """
    if part_count > _MAX_PART_COUNT:
        raise PreprocessingError(f"image is made of more than {_MAX_PART_COUNT} parts")


def estimate_cost(header: ImageHeader, jpeg_scale: int) -> DecodingCost:
    """Tells from its header what decoding a photo takes.

    Args:
        header: The photo's header.
        jpeg_scale: 1, 2, 4 or 8: the share of its side at which a JPEG is decoded.
    """
    ns_per_pixel, bytes_per_pixel, ns_per_byte = _PIXEL_COSTS[header.format](header, jpeg_scale)
    fixed_ns, fixed_bytes = ns_per_byte * (header.file_bytes - header.metadata_bytes), 0.0
    for name, (ns, memory_bytes) in _PRICES.items():
        fixed_ns += ns * getattr(header, name)
        fixed_bytes += memory_bytes * getattr(header, name)
    return DecodingCost(
        ns_per_pixel=ns_per_pixel,
        fixed_ms=fixed_ns / 1e6,
        bytes_per_pixel=bytes_per_pixel,
        fixed_mb=fixed_bytes / 1e6,
    )


def _jpeg_cost(header: ImageHeader, jpeg_scale: int) -> tuple[float, float, float]:
    """A file of several scans keeps every sample, and walks over them again and again."""
    kept, decoded_share = header.kept_samples_per_pixel, 1 / jpeg_scale**2
    if kept == 0:
        return 1.2 + 20.0 * decoded_share, 8.0 * decoded_share + 0.1, 8.5
    return (
        0.3
        + 20.0 * decoded_share
        + 1.8 * kept
        + 0.1 * header.scanned_samples_per_pixel
        + 0.6 * header.refined_samples_per_pixel,
        8.0 * decoded_share + 2.0 * kept + 0.1,
        38.0,
    )


def _png_cost(header: ImageHeader, jpeg_scale: int) -> tuple[float, float, float]:
    """Unfiltering has its price by the byte before packing, however small the file."""
    return 5.0 + 10.0 * header.bytes_per_pixel, 12.0 if header.is_animated else 8.0, 8.0


def _webp_cost(header: ImageHeader, jpeg_scale: int) -> tuple[float, float, float]:
    """Pillow decodes every WebP as an animation: onto a canvas, beside a second one."""
    return 44.0 if header.is_animated else 20.0, 15.5, 24.0 if header.is_lossless else 60.0


_PIXEL_COSTS = {"JPEG": _jpeg_cost, "PNG": _png_cost, "WEBP": _webp_cost}
