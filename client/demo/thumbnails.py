"""Small pictures of products, for people to look at."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, ImageOps

PAPER = (255, 255, 255)


def load_thumbnail(path: Path | None, size_px: int) -> Image.Image | None:
    """Loads a photo, upright, whole, on white, as a square.

    Args:
        path: The photo; None has no thumbnail.
        size_px: Length of a side.

    Returns:
        An RGB picture; None when there is no photo or it cannot be read.
    """
    if path is None:
        return None
    try:
        with Image.open(path) as photo:
            photo.draft("RGB", (2 * size_px, 2 * size_px))
            upright = ImageOps.exif_transpose(photo).convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    upright.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (size_px, size_px), PAPER)
    corner = ((size_px - upright.width) // 2, (size_px - upright.height) // 2)
    square.paste(upright, corner, upright)
    return square


def data_uri(picture: Image.Image) -> str:
    """Returns a picture as a URI that holds it, for pages that must stand alone."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
