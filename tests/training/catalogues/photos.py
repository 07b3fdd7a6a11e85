"""Small photo files for the tests of readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_photo(path: Path, seed: int = 0) -> Path:
    """Writes a JPEG file of 24 x 16 pixels and returns its path; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "JPEG")
    return path


def write_broken_photo(path: Path) -> Path:
    """Writes a JPEG file that breaks off in the middle and returns its path."""
    whole = write_photo(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path
