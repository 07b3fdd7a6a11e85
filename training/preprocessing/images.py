"""Photos to pixels: decode any JPEG, PNG or WebP file and bring it to the tower's square.

One implementation for training and for Triton. Colour profiles are not applied: the shops' own
pages do not apply them alike either, and the towers learn what comes out here.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from .image_cost import ImageHeader, estimate_cost
from .image_header import read_image_header
from .settings import PreprocessingError, PreprocessingSettings

Size = tuple[int, int]

_WHITE = (255, 255, 255)
# More scans than any encoder writes: a small progressive file can otherwise cost minutes.
_MAX_JPEG_SCANS = 100
_ORIENTATION = 0x0112  # EXIF tag
# What EXIF of a PNG or WebP says behind this many bytes is not read; a JPEG's is, as it is opened.
_MAX_EXIF_BYTES = 65_536
_PACKED_EXIF = "Raw profile type exif"  # text of a PNG, in hexadecimal lines
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_image(data: bytes, settings: PreprocessingSettings) -> npt.NDArray[np.uint8]:
    """Decodes one photo.

    The EXIF orientation is obeyed, transparency is laid on white, grey, palette, CMYK and 16-bit
    photos become 8-bit RGB, and of an animation the first frame is taken. The photo is brought to
    the square as `settings.resize` says, with an antialiased bicubic filter. The same bytes always
    give the same pixels.

    Args:
        data: Bytes of a JPEG, PNG or WebP file.
        settings: Side of the square, way to reach it, and the limits on pixels and decoding.

    Returns:
        RGB pixels, (3, S, S), 0 to 255.

    Raises:
        PreprocessingError: If the bytes are none of these formats, hold more pixels than allowed,
            would take more time or memory than allowed, or are broken or cut off; the message says
            what was expected.
    """
    header = _read_header(data)
    _check_cost(header, settings)
    _silence_pillow()
    try:
        square = _to_square(*_load_upright(data, header, settings), settings)
    except PreprocessingError:
        raise
    except Exception as error:  # decoders raise about ten kinds for broken bytes
        raise _unreadable(data) from error
    pixels = np.asarray(square, dtype=np.uint8)  # (S, S, 3)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))  # (3, S, S)


def decode_images(
    photos: Sequence[bytes], settings: PreprocessingSettings
) -> list[npt.NDArray[np.uint8] | PreprocessingError]:
    """Decodes photos one by one; a bad one does not disturb the others.

    Args:
        photos: Bytes of each file.
        settings: As for `decode_image`.

    Returns:
        For each photo its pixels, (3, S, S), or the error that `decode_image` raised.
    """
    decoded: list[npt.NDArray[np.uint8] | PreprocessingError] = []
    for data in photos:
        try:
            decoded.append(decode_image(data, settings))
        except PreprocessingError as error:
            decoded.append(error)
    return decoded


@functools.cache
def _silence_pillow() -> None:
    """Keeps quiet, in the whole process, what Pillow has to say of each tag of broken EXIF.

    Sixty kilobytes of it would write a megabyte to the log, and stay in Python's list of warnings.
    """
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def _read_header(data: bytes) -> ImageHeader:
    if not data:
        raise PreprocessingError("image is empty; expected the bytes of a JPEG, PNG or WebP file")
    header = read_image_header(data)
    if header is None or header.pixel_count == 0:
        raise _unreadable(data)
    return header


def _unreadable(data: bytes) -> PreprocessingError:
    return PreprocessingError(
        f"image cannot be decoded: the file of {len(data)} bytes is broken or cut off"
    )


def _check_cost(header: ImageHeader, settings: PreprocessingSettings) -> None:
    """Refuses a photo that has too many pixels, or takes too much for those it has."""
    width, height, pixel_count = header.width_px, header.height_px, header.pixel_count
    size = f"image has {pixel_count / 1e6:.1f} megapixels ({width} x {height})"
    if pixel_count > settings.max_pixels:
        raise PreprocessingError(f"{size}; at most {settings.max_pixels / 1e6:.1f} are allowed")
    if header.scan_count > _MAX_JPEG_SCANS:
        raise PreprocessingError(
            f"image is a JPEG of {header.scan_count} scans; at most {_MAX_JPEG_SCANS} are allowed"
        )
    cost = estimate_cost(header, _jpeg_scale(header, settings))
    allowed = cost.affordable_pixels(settings.max_decode_ms, settings.max_decode_mb)
    if pixel_count <= allowed:
        return
    kind = _name_kind(header)
    if allowed > 0:
        raise PreprocessingError(f"{size} as {kind}; at most {allowed / 1e6:.1f} are allowed")
    raise PreprocessingError(
        f"image is {kind} of {header.file_bytes / 1e6:.1f} megabytes in {header.part_count} parts "
        f"that would take {cost.cpu_ms(pixel_count):.0f} ms and {cost.memory_mb(pixel_count):.0f} "
        f"MB to decode; at most {settings.max_decode_ms} ms and {settings.max_decode_mb} MB are "
        "allowed"
    )


def _name_kind(header: ImageHeader) -> str:
    kind = {"JPEG": "a JPEG", "PNG": "a PNG", "WEBP": "a WebP"}[header.format]
    if header.is_animated:
        return kind.replace("a ", "an animated ")
    return "a progressive JPEG" if header.is_progressive else kind


def _load_upright(
    data: bytes, header: ImageHeader, settings: PreprocessingSettings
) -> tuple[Image.Image, Size]:
    """Decodes a photo and turns it as its EXIF says; what Pillow kept to decode is freed.

    Returns:
        The photo, and the size at which the whole of it would be shown.
    """
    width, height = _fitted_size(header, settings)
    image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
    if image.size != (header.width_px, header.height_px):
        raise _unreadable(data)
    # A JPEG is decoded at an eighth, quarter or half when that leaves the target: a third of the
    # time, for a mean difference of .6 of 255 levels. For the other formats the call does nothing.
    image.draft(None, (width, height))
    image.load()
    upright = _turn_upright(image)
    is_turned = upright.size != image.size  # by a quarter
    return upright, (height, width) if is_turned else (width, height)


def _jpeg_scale(header: ImageHeader, settings: PreprocessingSettings) -> int:
    """By how much Pillow will divide the sides of a JPEG, as the draft leaves room for."""
    width, height = _fitted_size(header, settings)
    scale = min(header.width_px // width, header.height_px // height)
    return next((each for each in (8, 4, 2) if scale >= each), 1)


def _to_square(image: Image.Image, size: Size, settings: PreprocessingSettings) -> Image.Image:
    """Brings an upright photo to the square; the whole of it would be shown at `size`."""
    side = settings.image_size_px
    image = _to_true_colour(image)
    if settings.resize == "crop":
        return _on_white(ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC))
    resized = _on_white(image.resize(size, Image.Resampling.BICUBIC))
    if resized.size == (side, side):
        return resized
    canvas = Image.new("RGB", (side, side), _WHITE)
    canvas.paste(resized, ((side - size[0]) // 2, (side - size[1]) // 2))
    return canvas


def _fitted_size(header: ImageHeader, settings: PreprocessingSettings) -> Size:
    """Size at which the whole photo would be shown, before padding or cropping."""
    width, height, side = header.width_px, header.height_px, settings.image_size_px
    if settings.resize == "squash":
        return side, side
    fitted = max(width, height) if settings.resize == "pad" else min(width, height)
    return max(1, round(width * side / fitted)), max(1, round(height * side / fitted))


def _turn_upright(image: Image.Image) -> Image.Image:
    """Turns and mirrors a decoded photo as its EXIF orientation says."""
    info = image.info
    if "exif" in info:
        info["exif"] = info["exif"][:_MAX_EXIF_BYTES]
    elif _PACKED_EXIF in info and len(info[_PACKED_EXIF]) > 2 * _MAX_EXIF_BYTES:
        info[_PACKED_EXIF] = info[_PACKED_EXIF][: 2 * _MAX_EXIF_BYTES].rpartition("\n")[0]
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF is common, and the pixels are sound
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _to_true_colour(image: Image.Image) -> Image.Image:
    """Brings a decoded photo to RGB, or to RGBA when parts of it are transparent."""
    if image.mode.startswith("I"):  # 16-bit grey: the high byte, as Pillow does for 16-bit RGB
        values, transparent = np.asarray(image), image.info.get("transparency")
        image = Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
        if transparent is not None:
            opacity = (values != transparent).astype(np.uint8) * np.uint8(255)
            image.putalpha(Image.fromarray(opacity))
        return image
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    canvas = Image.new("RGBA", image.size, (*_WHITE, 255))
    return Image.alpha_composite(canvas, image).convert("RGB")
