"""Photos to pixels: decode any JPEG, PNG or WebP file and bring it to the tower's square.

One implementation for training and for Triton. Colour profiles are not applied: the shops' own
pages do not apply them alike either, and the towers learn what comes out here.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from .image_header import is_known_format, read_image_header
from .settings import PreprocessingError, PreprocessingSettings, Resize

_WHITE = (255, 255, 255)
# JPEG is decoded at an eighth, quarter or half when that still leaves twice the target: a third
# of the time for a mean difference of a quarter of a grey level; straight to the target trebles it.
_DRAFT_MARGIN = 2
# More scans than any encoder writes: a small progressive file can otherwise cost minutes.
_MAX_JPEG_SCANS = 100
_ORIENTATION = 0x0112  # EXIF tag
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
        settings: Side of the square, way to reach it, and the limit on pixels.

    Returns:
        RGB pixels, (3, S, S), 0 to 255.

    Raises:
        PreprocessingError: If the bytes are none of these formats, hold more pixels than allowed,
            or are broken or cut off; the message says what was expected.
    """
    _check_header(data, settings.max_pixels)
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
            # Once more, for the size that Pillow will decode: a file can state two.
            _check_pixel_count(*image.size, settings.max_pixels)
            square = _to_square(image, settings)
    except PreprocessingError:
        raise
    except Exception as error:  # decoders raise about ten kinds for broken bytes
        raise PreprocessingError(
            f"image cannot be decoded: the file of {len(data)} bytes is broken or cut off"
        ) from error
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


def _check_header(data: bytes, max_pixels: int) -> None:
    if not data:
        raise PreprocessingError("image is empty; expected the bytes of a JPEG, PNG or WebP file")
    if not is_known_format(data):
        raise PreprocessingError("image is not a JPEG, PNG or WebP file")
    header = read_image_header(data)
    if header is None:
        raise PreprocessingError(
            f"image cannot be decoded: the file of {len(data)} bytes is broken or cut off"
        )
    _check_pixel_count(header.width_px, header.height_px, max_pixels)
    if header.scan_count > _MAX_JPEG_SCANS:
        raise PreprocessingError(
            f"image is a JPEG of {header.scan_count} scans; at most {_MAX_JPEG_SCANS} are allowed"
        )


def _check_pixel_count(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PreprocessingError(
            f"image has {width * height / 1e6:.1f} megapixels ({width} x {height}); "
            f"at most {max_pixels / 1e6:.1f} are allowed"
        )


def _to_square(image: Image.Image, settings: PreprocessingSettings) -> Image.Image:
    side = settings.image_size_px
    width, height = _fitted_size(*image.size, side, settings.resize)
    # Only JPEG can do it; for the other formats the call does nothing.
    image.draft(None, (_DRAFT_MARGIN * width, _DRAFT_MARGIN * height))
    image.load()
    upright = _to_true_colour(_turn_upright(image))
    if settings.resize == "crop":
        return _on_white(_resize(upright, (side, side), _middle_square(*upright.size)))
    if upright.size != image.size:  # turned by a quarter
        width, height = height, width
    resized = _on_white(_resize(upright, (width, height), (0, 0, *upright.size)))
    if resized.size == (side, side):
        return resized
    canvas = Image.new("RGB", (side, side), _WHITE)
    canvas.paste(resized, ((side - width) // 2, (side - height) // 2))
    return canvas


def _fitted_size(width: int, height: int, side: int, resize: Resize) -> tuple[int, int]:
    """Size at which the whole photo would be shown, before padding or cropping."""
    if resize == "squash":
        return side, side
    fitted = max(width, height) if resize == "pad" else min(width, height)
    return max(1, round(width * side / fitted)), max(1, round(height * side / fitted))


def _middle_square(width: int, height: int) -> tuple[float, float, float, float]:
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _turn_upright(image: Image.Image) -> Image.Image:
    """Turns and mirrors a decoded photo as its EXIF orientation says."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF is common, and the pixels are sound
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _resize(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=None)


def _to_true_colour(image: Image.Image) -> Image.Image:
    """Brings a decoded photo to RGB, or to RGBA when parts of it are transparent."""
    if image.mode.startswith("I"):  # 16-bit grey: the high byte, as Pillow does for 16-bit RGB
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    canvas = Image.new("RGBA", image.size, (*_WHITE, 255))
    return Image.alpha_composite(canvas, image).convert("RGB")
