"""What decoding a photo takes, told from its header: time of one core, and memory.

Megapixels alone say little: one of a baseline JPEG takes a tenth of what one of a PNG takes, and a
photo without detail is a file of a few bytes. The figures below are upper bounds measured with
Pillow 13 on one core of a server, over ordinary photos and over files made to be slow.
"""

from __future__ import annotations

from dataclasses import dataclass

from .image_header import ImageHeader

# Nanoseconds are milliseconds per megapixel or per megabyte.
_NS_PER_METADATA_BYTE = 60.0
_NS_PER_EXIF_BYTE = 350.0
_NS_PER_PART = 4_000.0
_NS_PER_UNPACKED_BYTE = 3.0
# Deflate may bring tables for no pixels at all. An honest file has no surplus, and of a file that
# hides them among pixels too little is asked: were it asked of all, large photos would be refused.
_NS_PER_SURPLUS_BYTE = 70.0
# Tables of a group of prefix codes, and as many colours in its cache as there can be.
_NS_PER_CODE_GROUP = 12_500.0
_BYTES_PER_CODE_GROUP = 5_600.0
_METADATA_COPIES = 8  # bytes, text, and what the reader makes of it
_NS_PER_SIDE_PIXEL = 250.0  # rows, and the weights of a resize, have a price of their own
_BYTES_PER_SIDE_PIXEL = 60.0


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


def estimate_cost(header: ImageHeader, jpeg_scale: int) -> DecodingCost:
    """Tells from its header what decoding a photo takes.

    Args:
        header: The photo's header.
        jpeg_scale: 1, 2, 4 or 8: the share of its side at which a JPEG is decoded.
    """
    ns_per_pixel, bytes_per_pixel, ns_per_byte = _PIXEL_COSTS[header.format](header, jpeg_scale)
    side_px = max(header.width_px, header.height_px)
    pixel_bytes = header.file_bytes - header.metadata_bytes
    return DecodingCost(
        ns_per_pixel=ns_per_pixel,
        bytes_per_pixel=bytes_per_pixel,
        fixed_ms=(
            ns_per_byte * pixel_bytes
            + _NS_PER_METADATA_BYTE * header.metadata_bytes
            + _NS_PER_EXIF_BYTE * header.exif_bytes
            + _NS_PER_PART * header.part_count
            + _NS_PER_UNPACKED_BYTE * header.unpacked_bytes
            + _NS_PER_SURPLUS_BYTE * header.surplus_bytes
            + _NS_PER_CODE_GROUP * header.code_group_count
            + _NS_PER_SIDE_PIXEL * side_px
        )
        / 1e6,
        fixed_mb=(
            _METADATA_COPIES * (header.metadata_bytes + header.exif_bytes)
            + header.unpacked_bytes
            + _BYTES_PER_CODE_GROUP * header.code_group_count
            + _BYTES_PER_SIDE_PIXEL * side_px
        )
        / 1e6,
    )


def _jpeg_cost(header: ImageHeader, jpeg_scale: int) -> tuple[float, float, float]:
    """A file of several scans keeps every sample, and walks over them again and again."""
    jpeg = header.jpeg
    assert jpeg is not None
    kept, decoded_share = jpeg.kept_samples_per_pixel, 1 / jpeg_scale**2
    if kept == 0:
        return 1.2 + 20.0 * decoded_share, 8.0 * decoded_share + 0.1, 8.5
    return (
        0.3
        + 20.0 * decoded_share
        + 1.8 * kept
        + 0.1 * jpeg.scanned_samples_per_pixel
        + 0.6 * jpeg.refined_samples_per_pixel,
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
