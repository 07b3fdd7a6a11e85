"""Soft packages of the generated catalogue: pouches, pillow bags and plastic jugs."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from twinshelf.training.catalogues.generated.assortment import Item
from twinshelf.training.catalogues.generated.folding import grown_size, print_front
from twinshelf.training.catalogues.generated.marks import BLACK, Point, mixed

Array = npt.NDArray[np.floating]
POUCH: list[Point] = [
    (0.03, 0.0), (0.97, 0.0), (0.98, 0.1), (0.95, 0.3), (0.97, 0.75), (1.0, 0.93), (0.9, 0.985),
    (0.5, 1.0), (0.1, 0.985), (0.0, 0.93), (0.03, 0.75), (0.05, 0.3), (0.02, 0.1),
]  # fmt: skip
JUG: list[Point] = [
    (0.3, 0.1), (0.52, 0.1), (0.8, 0.16), (0.97, 0.3), (1.0, 0.45), (0.98, 0.95), (0.92, 1.0),
    (0.08, 1.0), (0.02, 0.95), (0.0, 0.45), (0.06, 0.3), (0.26, 0.18),
]  # fmt: skip
BAG_SIDE: list[Point] = [(0.94, 0.07), (0.99, 0.25), (1.0, 0.5), (0.99, 0.75), (0.94, 0.93)]
HANDLE: list[Point] = [(0.62, 0.24), (0.74, 0.25), (0.85, 0.34)]
CRIMP_TEETH = 16


def draw_pouch(item: Item) -> Image.Image:
    """Draws a stand-up pouch: flat at the top, round at the bottom."""
    wide, high = grown_size(item, (220, 300), (1.0, 1.28))
    return _draw_film(item, wide, high, POUCH, crimps=((0.0, 0.07),))


def draw_bag(item: Item) -> Image.Image:
    """Draws a pillow bag with a crimp at either end."""
    wide, high = grown_size(item, (230, 300), (1.0, 1.3))
    teeth = [(0.03 + 0.94 * i / CRIMP_TEETH, 0.012 * (i % 2)) for i in range(CRIMP_TEETH + 1)]
    right = teeth + BAG_SIDE
    outline = right + [(1 - x, 1 - y) for x, y in right]
    return _draw_film(item, wide, high, outline, crimps=((0.0, 0.065), (0.935, 1.0)))


def draw_jug(item: Item) -> Image.Image:
    """Draws a plastic jug with a handle, a cap and a label in the middle."""
    wide, high = grown_size(item, (230, 300), (1.02, 1.22))
    mask = _mask(JUG, wide, high)
    handle = [(wide * x, high * y) for x, y in HANDLE]
    ImageDraw.Draw(mask).line(handle, fill=0, width=wide // 11, joint="curve")
    plastic = Image.new("RGB", (wide, high), mixed(item.variant.colour, item.design.accent, 0.45))
    label_size = int(wide * 0.84), int(high * 0.56)
    label = print_front(item, *label_size).resize(label_size, Image.Resampling.LANCZOS)
    plastic.paste(label, (int(wide * 0.08), int(high * 0.39)))
    jug = _shaded(plastic, _pillow_light(wide, high, random.Random(item.line), fold_count=0))
    jug.putalpha(mask.filter(ImageFilter.SMOOTH))
    draw = ImageDraw.Draw(jug)
    left, right, bottom = wide * 0.28, wide * 0.54, high * 0.115
    draw.rectangle((left, 0, right, bottom), fill=item.design.cap)
    for i in range(9):
        x = left + (right - left) * (i + 0.5) / 9
        ridge = mixed(item.design.cap, BLACK, 0.15 + 0.03 * i)
        draw.line((x, 2, x, bottom - 3), fill=ridge, width=2)
    return jug


def _mask(outline: list[Point], wide: int, high: int) -> Image.Image:
    mask = Image.new("L", (wide * 2, high * 2), 0)
    corners = [(x * (wide * 2 - 1), y * (high * 2 - 1)) for x, y in outline]
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    return mask.resize((wide, high), Image.Resampling.BOX)


def _draw_film(
    item: Item, wide: int, high: int, outline: list[Point], crimps: tuple[tuple[float, float], ...]
) -> Image.Image:
    """Draws a bag of film: a full print, crimped ends, light that shows folds."""
    film = print_front(item, wide, high).resize((wide, high), Image.Resampling.LANCZOS)
    rng = random.Random(f"{item.brand.name} {item.line}")
    light = _pillow_light(wide, high, rng, fold_count=6)
    ridges = 0.42 + 0.1 * np.cos(np.arange(wide) * 1.05)[None, :]
    for top, bottom in crimps:
        rows = slice(int(top * high), int(bottom * high))
        light[rows] = light[rows] * 0.5 + ridges
    picture = _shaded(film, light)
    picture.putalpha(_mask(outline, wide, high).filter(ImageFilter.SMOOTH))
    return picture


def _pillow_light(wide: int, high: int, rng: random.Random, fold_count: int) -> Array:
    """Returns the light on a filled bag as factors (H, W) around 1, with soft folds."""
    x = np.linspace(-1, 1, wide, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, high, dtype=np.float32)[:, None]
    light: Array = 1.04 - 0.3 * np.abs(x) ** 4 - 0.12 * np.abs(y) ** 6 - 0.07 * x
    for _ in range(fold_count):
        angle, place = rng.uniform(-0.6, 0.6), rng.uniform(-0.9, 0.9)
        across = x * np.cos(angle) + y * np.sin(angle) - place
        reach = np.exp(-(((y - rng.choice((-1, 1))) / 0.7) ** 2))
        crease = np.exp(-((across / 0.05) ** 2)) - np.exp(-(((across - 0.08) / 0.05) ** 2))
        light += rng.uniform(0.08, 0.16) * reach * crease
    light += 0.13 * np.exp(-(((x + 0.55) / 0.12) ** 2)) * (1 - y**4)
    return light


def _shaded(film: Image.Image, light: Array) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(film) * light[..., None], 0, 255).astype(np.uint8))
