"""Made-up products, and offers that show them otherwise: photos of 1024 pixels and 12 words."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE_PX = 1024
WORD_COUNT = 12
WORDS = (
    "organic cotton steel wireless compact classic ceramic leather wooden folding travel kitchen "
    "garden office sports winter summer running cycling camping coffee chocolate orange lemon "
    "green black white silver golden purple large small medium double single twin electric manual "
    "digital portable waterproof insulated adjustable lightweight premium vintage modern original "
    "bottle mug lamp chair table jacket shirt shoes backpack speaker keyboard charger blanket "
    "pillow towel knife pan kettle toaster blender vacuum heater fan clock mirror basket box"
).split()
GRID = 8
JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A photo and a title.

    Attributes:
        product_id: The product that they show.
        image: JPEG file of 1024 x 1024 pixels.
        title: 12 words.
    """

    product_id: str
    image: bytes
    title: str


def make_products(count: int, side_px: int = SIDE_PX) -> list[Offer]:
    """Makes products whose photos are blots of colours and whose titles are drawn words.

    Args:
        count: How many.
        side_px: Side of a photo.
    """
    return [_make(number, side_px, is_offer=False) for number in range(count)]


def make_offers(count: int, side_px: int = SIDE_PX) -> list[Offer]:
    """Makes an offer of each of the first products: other light, noise and cut, two other words."""
    return [_make(number, side_px, is_offer=True) for number in range(count)]


def _make(number: int, side_px: int, *, is_offer: bool) -> Offer:
    own, view = np.random.default_rng([number, 0]), np.random.default_rng([number, 1])
    blots = own.uniform(0, 255, (GRID, GRID, 3))
    words = own.choice(WORDS, WORD_COUNT).tolist()
    if is_offer:
        blots = 0.85 * blots + view.normal(12, 8, blots.shape)
        for place in view.choice(WORD_COUNT, 2, replace=False).tolist():
            words[place] = str(view.choice(WORDS))
    return Offer(
        product_id=f"p{number}",
        image=_photograph(blots, side_px, view),
        title=" ".join(words),
    )


def _photograph(
    blots: npt.NDArray[np.float64], side_px: int, generator: np.random.Generator
) -> bytes:
    """Returns a JPEG of blots with the fine grain of a photo, without which it would be small."""
    small = Image.fromarray(blots.clip(0, 255).astype(np.uint8))
    large = np.asarray(small.resize((side_px, side_px), Image.Resampling.BICUBIC), dtype=np.int16)
    # A tile of grain will do: drawing a million numbers takes longer than all the rest.
    tile = generator.normal(0, 6, (side_px // 4, side_px // 4, 1)).astype(np.int16)
    pixels = (large + np.tile(tile, (4, 4, 1))).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
