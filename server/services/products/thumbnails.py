"""Small pictures of products, made of their photos beside the event loop."""

from __future__ import annotations

import asyncio
import io
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageOps

logger = logging.getLogger(__name__)
_FORMATS = ("JPEG", "PNG", "WEBP")
_PAPER = (255, 255, 255)
_QUALITY = 80


class Thumbnails:
    """Makes thumbnails, one at a time. One for the whole server."""

    def __init__(self, size_px: int) -> None:
        """Takes the longer side of what is made, pixels; 0 makes nothing."""
        self._size_px = size_px
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="thumbnails")

    async def make(self, photo: bytes) -> bytes:
        """Returns a JPEG of a photo; empty without a photo, and where none is made.

        Args:
            photo: One that the encoder took: it bounds the pixels of what is decoded here.
        """
        if not (photo and self._size_px):
            return b""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _make, photo, self._size_px)

    def close(self) -> None:
        """Waits for the one that is being made."""
        self._executor.shutdown()


def _make(photo: bytes, size_px: int) -> bytes:
    try:
        with Image.open(io.BytesIO(photo), formats=_FORMATS) as image:
            # No larger than needed: a JPEG of twice the size took three times as long, and looked
            # the same.
            image.draft("RGB", (size_px, size_px))
            shown = _to_eight_bits(image) if image.mode.startswith("I") else image
            shown.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
            upright = ImageOps.exif_transpose(shown)
    except Exception as error:  # Pillow raises anything; the product is worth more than its picture
        logger.warning("no thumbnail was made of a photo: %s", error)
        return b""
    buffer = io.BytesIO()
    _on_paper(upright).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _on_paper(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        image.info.clear()  # Pillow would write the photo's comment
        return image
    layer = image.convert("RGBA")
    opaque = Image.new("RGB", layer.size, _PAPER)
    opaque.paste(layer, mask=layer)
    return opaque


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Returns the high bytes of 16-bit grey, as the encoder sees it; Pillow would make it white."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    if (transparent := image.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    if "exif" in image.info:
        grey.info["exif"] = image.info["exif"]
    return grey
