"""Photos and texts that find skew between training and serving: no square ones alone, no ASCII."""

from __future__ import annotations

from tests.training.preprocessing.golden import draw_photo, encode

SIZES = ((64, 64), (160, 48), (50, 170), (333, 200), (31, 33))
TEXTS = (
    "red soap 500 box",
    "",
    "Молоко &amp; чай <b>большой</b> ﬁne  500",
    "large green bar " * 400,
    "x",
)


def photos() -> list[bytes]:
    """Returns square and other photos as JPEG, PNG and WebP files."""
    formats = ("JPEG", "PNG", "WEBP", "JPEG", "PNG")
    return [encode(draw_photo(*size), kind) for size, kind in zip(SIZES, formats, strict=True)]
