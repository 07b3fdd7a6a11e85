"""Photos of many kinds with the pixels they must become, kept in golden.npz beside this file.

Rewritten with `python -m tests.training.preprocessing.golden`, and only when pixels are meant to
change: every published encoder was trained on the old ones.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import PreprocessingSettings, Resize

FILE = Path(__file__).with_name("golden.npz")
SIZE_PX = 32
ORIENTATION = 0x0112


def settings_for(resize: Resize) -> PreprocessingSettings:
    """Returns the settings that the golden pixels were made with."""
    return PreprocessingSettings(image_size_px=SIZE_PX, resize=resize)


def load_golden() -> Iterator[tuple[str, Resize, bytes, npt.NDArray[np.uint8]]]:
    """Yields name, resize, file bytes and expected pixels (3, 32, 32) of each golden photo."""
    with np.load(FILE) as arrays:
        names = sorted(key.removesuffix("/file") for key in arrays if key.endswith("/file"))
        for name in names:
            for resize in get_args(Resize):
                yield name, resize, arrays[f"{name}/file"].tobytes(), arrays[f"{name}/{resize}"]


def draw_photo(width: int, height: int) -> Image.Image:
    """Draws a photo without any symmetry: two ramps, a bar and a disc."""
    x = np.linspace(0, 1, width)[None, :]
    y = np.linspace(0, 1, height)[:, None]
    red, green = 255 * x + 0 * y, 255 * y + 0 * x
    blue = np.where((x - 0.7) ** 2 + (y - 0.3) ** 2 < 0.04, 255.0, 60.0)
    green = np.where((x < 0.25) & (y > 0.6), 255.0, green)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    """Returns a picture as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def with_orientation(image: Image.Image, orientation: int, file_format: str) -> bytes:
    """Returns a picture as a file whose EXIF states an orientation."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(image, file_format, exif=exif)


def _draw_files() -> dict[str, bytes]:
    wide, tall = draw_photo(90, 40), draw_photo(30, 70)
    ramp = np.linspace(0, 65535, 50 * 20).reshape(20, 50).astype(np.uint16)
    alpha = wide.convert("RGBA")
    alpha.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 90), (40, 1)).astype(np.uint8)))
    return {
        "jpeg wide": encode(wide, "JPEG", quality=90),
        "jpeg tall": encode(tall, "JPEG", quality=90),
        "jpeg large": encode(draw_photo(400, 300), "JPEG", quality=60),
        "jpeg progressive": encode(wide, "JPEG", progressive=True),
        "jpeg turned": with_orientation(wide, 6, "JPEG"),
        "jpeg grey": encode(tall.convert("L"), "JPEG"),
        "jpeg cmyk": encode(wide.convert("CMYK"), "JPEG"),
        "png palette": encode(wide.quantize(16), "PNG"),
        "png alpha": encode(alpha, "PNG"),
        "png grey 16 bit": encode(Image.fromarray(ramp), "PNG"),
        "webp": encode(tall, "WEBP", quality=80),
        "webp alpha": encode(alpha, "WEBP", lossless=True),
    }


def _write_golden() -> None:
    arrays: dict[str, Any] = {}
    for name, data in _draw_files().items():
        arrays[f"{name}/file"] = np.frombuffer(data, dtype=np.uint8)
        for resize in get_args(Resize):
            arrays[f"{name}/{resize}"] = decode_image(data, settings_for(resize))
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    _write_golden()
