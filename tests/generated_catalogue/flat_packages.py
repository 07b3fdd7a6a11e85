"""Flat packages of the generated catalogue: boxes, gable cartons, pouches, pillow bags and jugs."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from tests.generated_catalogue.assortment import Item
from tests.generated_catalogue.marks import BLACK, WHITE, Point, mixed
from tests.generated_catalogue.printed_labels import draw_back, draw_label
from tests.generated_catalogue.vocabulary import Colour

READABLE = 0.84
PRINT_SCALE = 1.4
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


def draw_box(item: Item) -> Image.Image:
    """Draws a cardboard box, or a thin one for a notebook, turned a little to the right."""
    wide, high = grown_size(item, (230, 300), (1.0, 1.28))
    depth = 26 if item.design.form == "notebook" else 84
    if item.kind.english in ("tea", "cookies"):
        wide, high = grown_size(item, (300, 210), (1.02, 1.3))
    lift, shift = depth * 0.32, depth * 0.86
    canvas = Image.new("RGBA", (wide + depth + 8, int(high + lift + 16)), (0, 0, 0, 0))
    left, top = 4.0, 6 + lift
    right, bottom, far, back = left + wide, top + high, left + wide + shift, top - lift
    front = _lit(print_front(item, wide, high), 1.04, 0.94)
    side = ImageEnhance.Brightness(draw_back(item, depth * 2, high)).enhance(0.66)
    if item.design.form == "notebook":
        side = _sheet((226, 222, 212))
    roof = _sheet(mixed(item.brand.colour, WHITE, 0.12))
    for face, corners in (
        (side, [(right, top), (far, back), (far, bottom - lift * 0.9), (right, bottom)]),
        (roof, [(left + shift * 0.9, back), (far, back), (right, top), (left, top)]),
        (front, [(left, top), (right, top), (right, bottom), (left, bottom - lift * 0.1)]),
    ):
        _paste_quad(canvas, face, corners)
    return canvas


def draw_carton(item: Item) -> Image.Image:
    """Draws a drink carton with a gable roof, a crimp and a screw cap."""
    wide, high = grown_size(item, (160, 240), (0.96, 1.34))
    depth, roof_high, crimp = wide * 0.42, wide * 0.5, wide * 0.16
    size = int(wide + depth + 8), int(high + roof_high + crimp + 16)
    canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    left, right, far = 4.0, 4.0 + wide, 4.0 + wide + depth
    ridge, eaves, bottom = 6 + crimp, 6 + crimp + roof_high, 6 + crimp + roof_high + high
    peak, middle = left + depth * 0.5, right + depth * 0.5
    back, colour = eaves - depth * 0.16, item.brand.colour
    side = ImageEnhance.Brightness(draw_back(item, int(depth) * 2, high)).enhance(0.64)
    front = _lit(print_front(item, wide, high), 1.05, 0.95)
    gable, roof = _sheet(mixed(colour, BLACK, 0.4)), _sheet(mixed(colour, WHITE, 0.15))
    fold = _sheet(mixed(item.design.accent, BLACK, 0.08))
    for face, corners in (
        (side, [(right, eaves), (far, back), (far, bottom - depth * 0.2), (right, bottom)]),
        (gable, [(middle, ridge), (middle + 1, ridge), (far, back), (right, eaves)]),
        (roof, [(peak, ridge), (middle, ridge), (right, eaves), (left, eaves)]),
        (fold, [(peak, 4.0), (middle, 4.0), (middle, ridge), (peak, ridge)]),
        (front, [(left, eaves), (right, eaves), (right, bottom), (left, bottom)]),
    ):
        _paste_quad(canvas, face, corners)
    _screw_cap(canvas, ((left + middle) / 2, (ridge + eaves) / 2), wide * 0.13, item.design.cap)
    return canvas


def grown_size(item: Item, size: tuple[int, int], growth: tuple[float, float]) -> tuple[int, int]:
    """Returns the pixels of a package: the large size has other proportions than the small one."""
    if item.size_rank == 0:
        return size
    return int(size[0] * growth[0]), int(size[1] * growth[1])


def print_front(item: Item, wide: int, high: int) -> Image.Image:
    """Prints the label of a flat package, finer than the `wide` x `high` pixels it will fill."""
    return draw_label(item, int(wide * PRINT_SCALE), int(high * PRINT_SCALE), READABLE)


def perspective(corners: list[Point], size: tuple[int, int]) -> list[float]:
    """Returns the eight numbers that make Pillow map a picture onto four points.

    Args:
        corners: Where the corners fall, clockwise from the upper left, in pixels.
        size: Width and height of the picture in pixels.
    """
    wide, high = size
    rows, values = [], []
    sources = ((0, 0), (wide, 0), (wide, high), (0, high))
    for (x, y), (u, v) in zip(corners, sources, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
        values += [u, v]
    return [float(c) for c in np.linalg.solve(np.array(rows, float), np.array(values, float))]


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


FOLDED: dict[str, Callable[[Item], Image.Image]] = {
    "box": draw_box,
    "notebook": draw_box,
    "carton": draw_carton,
    "pouch": draw_pouch,
    "bag": draw_bag,
    "jug": draw_jug,
}


def _screw_cap(canvas: Image.Image, centre: Point, radius: float, colour: Colour) -> None:
    draw, (x, y) = ImageDraw.Draw(canvas), centre
    for rise, fill in ((0.0, mixed(colour, BLACK, 0.3)), (0.3, colour)):
        top = y - radius * (0.55 + rise)
        draw.ellipse((x - radius, top, x + radius, top + radius * 1.3), fill=fill)


def _sheet(colour: Colour) -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


def _lit(face: Image.Image, left: float, right: float) -> Image.Image:
    """Lights a flat face with a gradient from left to right."""
    light = np.linspace(left, right, face.width, dtype=np.float32)[None, :, None]
    return Image.fromarray(np.clip(np.asarray(face) * light, 0, 255).astype(np.uint8))


def _paste_quad(canvas: Image.Image, face: Image.Image, corners: list[Point]) -> None:
    """Pastes a picture so that its corners fall on four points, clockwise from the upper left."""
    grown = face.transform(
        canvas.size,
        Image.Transform.PERSPECTIVE,
        perspective(corners, face.size),
        Image.Resampling.BICUBIC,
    )
    mask = Image.new("L", (canvas.width * 2, canvas.height * 2), 0)
    ImageDraw.Draw(mask).polygon([(x * 2, y * 2) for x, y in corners], fill=255)
    canvas.paste(grown, (0, 0), mask.resize(canvas.size, Image.Resampling.BOX))


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
