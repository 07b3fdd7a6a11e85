"""Raw photos and texts that tell whether two ways of preprocessing and embedding are one.

No photo is square, for a square one cannot show a wrong resize; texts run from empty to very long.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

ORIENTATION_TAG = 0x0112
TURNED_RIGHT = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoProbe:
    """A photo to compare on.

    Attributes:
        name: What is special about it.
        data: Bytes of the file.
    """

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _PhotoKind:
    name: str
    size: tuple[int, int]
    file_format: str
    convert: Callable[[Image.Image], Image.Image] = lambda image: image
    options: tuple[tuple[str, Any], ...] = ()


def _with_hole(image: Image.Image) -> Image.Image:
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    return image


def _as_palette(image: Image.Image) -> Image.Image:
    palette = image.quantize(32)
    palette.info["transparency"] = 0
    return palette


def _as_deep_grey(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _turned() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = TURNED_RIGHT
    return exif.tobytes()


_LOSSLESS = (("lossless", True),)
_KINDS = (
    _PhotoKind(name="landscape", size=(320, 200), file_format="JPEG"),
    _PhotoKind(name="portrait", size=(150, 333), file_format="JPEG", options=(("quality", 60),)),
    # Large enough for the decoder's own reduction of scale.
    _PhotoKind(name="large", size=(1500, 1125), file_format="JPEG"),
    _PhotoKind(name="banner", size=(640, 41), file_format="JPEG"),
    _PhotoKind(name="tower", size=(23, 500), file_format="PNG"),
    _PhotoKind(name="smaller than the target", size=(17, 11), file_format="PNG"),
    _PhotoKind(name="one pixel high", size=(9, 1), file_format="PNG"),
    _PhotoKind(
        name="grey", size=(210, 160), file_format="JPEG", convert=lambda image: image.convert("L")
    ),
    _PhotoKind(
        name="CMYK", size=(180, 240), file_format="JPEG", convert=lambda i: i.convert("CMYK")
    ),
    _PhotoKind(name="alpha", size=(250, 190), file_format="PNG", convert=_with_hole),
    _PhotoKind(name="palette", size=(130, 200), file_format="PNG", convert=_as_palette),
    _PhotoKind(name="16-bit grey", size=(140, 99), file_format="PNG", convert=_as_deep_grey),
    _PhotoKind(name="WebP", size=(301, 200), file_format="WEBP", options=_LOSSLESS),
    _PhotoKind(name="turned", size=(300, 180), file_format="JPEG", options=(("exif", _turned()),)),
    _PhotoKind(
        name="progressive", size=(260, 401), file_format="JPEG", options=(("progressive", True),)
    ),
)


def photo_probes(seed: int = 42) -> tuple[PhotoProbe, ...]:
    """Draws the photos: smooth colours under fine noise, which any other filter blurs otherwise.

    Args:
        seed: Seed of the colours and the noise.
    """
    generator = np.random.default_rng(seed)
    return tuple(_photo(kind, generator) for kind in _KINDS)


def text_probes(seed: int = 42) -> tuple[str, ...]:
    """Returns the texts: short, empty, very long, Cyrillic, markup, signs without letters.

    Args:
        seed: Seed of the long ones.
    """
    generator = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzабвгдежзиклмнопрстуя0123456789 .,-"))
    return (
        "Sparkling water with lemon 0.5 l",
        "",
        "   \n\t ",
        "Шоколад молочный «Алёнка» с фундуком, 90 г",
        "<p>Café&nbsp;crème &amp; sugar</p><script>var a = 1;</script>\u200b\ufb01ne",
        "a",
        "Ｆｕｌｌ－ｗｉｄｔｈ №5 ½ kg ⁴ ٣",
        "🙂🧴 emoji only 🧃",
        "?!… — / \\ |",
        "title | brand | category | " + "description " * 20,
        "word " * 300,
        "неразрывноедлинноеслово" * 60,
        "".join(generator.choice(letters, 200_000)),
    )


def _photo(kind: _PhotoKind, generator: np.random.Generator) -> PhotoProbe:
    width, height = kind.size
    coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize(kind.size, Image.Resampling.BICUBIC)
    noise = generator.normal(0, 20, (height, width, 3))
    pixels = np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    image = kind.convert(Image.fromarray(pixels))
    image.save(file, format=kind.file_format, **dict(kind.options))
    return PhotoProbe(name=kind.name, data=file.getvalue())
