"""Photos that visitors search with: kept for a while by content, so that each is sent once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

KEPT_BYTES = 64 * 1024 * 1024


def photo_type(data: bytes) -> str:
    """Returns the media type of a photo by its first bytes; empty when it is none that we show.

    Args:
        data: The file, or its first 12 bytes.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return ""


class KeptPhotos:
    """The photos that were used last, within a bound of bytes."""

    def __init__(self, limit_bytes: int = KEPT_BYTES) -> None:
        """Starts empty.

        Args:
            limit_bytes: Of all photos together; one that is larger alone is not kept.
        """
        self._limit_bytes = limit_bytes
        self._photos: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, data: bytes) -> str:
        """Keeps a photo and returns its name, the SHA-256 of its bytes in hex.

        Args:
            data: A JPEG, PNG or WebP file.

        Raises:
            ValueError: If it is something else.
        """
        if not photo_type(data):
            raise ValueError("A photo must be a JPEG, PNG or WebP file; this is something else.")
        name = hashlib.sha256(data).hexdigest()
        self._photos[name] = data
        self._photos.move_to_end(name)
        while sum(map(len, self._photos.values())) > self._limit_bytes:
            self._photos.popitem(last=False)
        return name

    def find(self, name: str) -> bytes:
        """Returns a photo; empty when it is not kept, or no longer."""
        if name not in self._photos:
            return b""
        self._photos.move_to_end(name)
        return self._photos[name]
