"""Folded packages of the generated catalogue: boxes, gable cartons, pouches, bags and jugs."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from training.catalogues.generated_assortment import Item
from training.catalogues.generated_labels import draw_back, draw_label
from training.catalogues.generated_marks import BLACK, WHITE, Point, mixed
from training.catalogues.generated_vocabulary import Colour

READABLE = 0.84
PRINT_SCALE = 1.4


def draw_box(item: Item) -> Image.Image:
    """Draws a cardboard box, or a thin one for a notebook, turned a little to the right."""
    wide, high = _grown(item, (230, 300), (1.0, 1.28))
    depth = 26 if item.design.form == "notebook" else 84
    if item.kind.english in ("tea", "cookies"):
        wide, high = _grown(item, (300, 210), (1.02, 1.3))
    lift = depth * 0.32
    canvas = Image.new("RGBA", (wide + depth + 8, int(high + lift + 16)), (0, 0, 0, 0))
    left, top = 4.0, 6 + lift
    front = _lit(_scaled_label(item, wide, high), 1.04, 0.94)
    side = ImageEnhance.Brightness(draw_back(item, depth * 2, high)).enhance(0.66)
    roof = Image.new("RGB", (wide, depth * 2), mixed(item.brand.colour, WHITE, 0.12))
    if item.design.form == "notebook":
        side = Image.new("RGB", (depth * 2, high), (226, 222, 212))
    right, bottom, shift = left + wide, top + high, depth * 0.86
    _paste_quad(canvas, side, [(right, top), (right + shift, top - lift), (right + shift, bottom - lift * 0.9),
                               (right, bottom)])  # fmt: skip
    _paste_quad(
        canvas,
        roof,
        [(left + shift * 0.9, top - lift), (right + shift, top - lift), (right, top), (left, top)],
    )
    _paste_quad(
        canvas, front, [(left, top), (right, top), (right, bottom), (left, bottom - lift * 0.1)]
    )
    return canvas


def draw_carton(item: Item) -> Image.Image:
    """Draws a drink carton with a gable roof, a crimp and a screw cap."""
    wide, high = _grown(item, (150, 270), (1.12, 1.16))
    depth, roof_high, crimp = wide * 0.42, wide * 0.5, wide * 0.16
    canvas = Image.new(
        "RGBA", (int(wide + depth + 8), int(high + roof_high + crimp + 16)), (0, 0, 0, 0)
    )
    left, right, far = 4.0, 4.0 + wide, 4.0 + wide + depth
    ridge, eaves, bottom = 6 + crimp, 6 + crimp + roof_high, 6 + crimp + roof_high + high
    slide = depth * 0.5
    colour = item.brand.colour
    side = ImageEnhance.Brightness(draw_back(item, int(depth) * 2, high)).enhance(0.64)
    roof = _sheet(mixed(colour, WHITE, 0.15))
    _paste_quad(
        canvas,
        side,
        [(right, eaves), (far, eaves - depth * 0.16), (far, bottom - depth * 0.2), (right, bottom)],
    )
    _paste_quad(
        canvas,
        _sheet(mixed(colour, BLACK, 0.4)),
        [
            (right + slide, ridge),
            (right + slide + 1, ridge),
            (far, eaves - depth * 0.16),
            (right, eaves),
        ],
    )
    _paste_quad(
        canvas, roof, [(left + slide, ridge), (right + slide, ridge), (right, eaves), (left, eaves)]
    )
    _paste_quad(
        canvas,
        _sheet(mixed(item.design.accent, BLACK, 0.08)),
        [(left + slide, 4), (right + slide, 4), (right + slide, ridge), (left + slide, ridge)],
    )
    front = _lit(_scaled_label(item, wide, high), 1.05, 0.95)
    _paste_quad(canvas, front, [(left, eaves), (right, eaves), (right, bottom), (left, bottom)])
    draw = ImageDraw.Draw(canvas)
    x, y, radius = (left + right + slide) / 2, (ridge + eaves) / 2, wide * 0.13
    draw.ellipse(
        (x - radius, y - radius * 0.55, x + radius, y + radius * 0.75),
        fill=mixed(item.design.cap, BLACK, 0.3),
    )
    draw.ellipse(
        (x - radius, y - radius * 0.85, x + radius, y + radius * 0.45), fill=item.design.cap
    )
    return canvas  # fmt: skip


def draw_pouch(item: Item) -> Image.Image:
    """Draws a stand-up pouch: flat at the top, round at the bottom."""
    wide, high = _grown(item, (220, 300), (1.0, 1.28))
    outline = [(0.03, 0.0), (0.97, 0.0), (0.98, 0.1), (0.95, 0.3), (0.97, 0.75), (1.0, 0.93), (0.9, 0.985),
               (0.5, 1.0), (0.1, 0.985), (0.0, 0.93), (0.03, 0.75), (0.05, 0.3), (0.02, 0.1)]  # fmt: skip
    return _draw_soft(item, wide, high, outline, crimps=(0.07, 0.0))


def draw_bag(item: Item) -> Image.Image:
    """Draws a pillow bag with a crimp at either end."""
    wide, high = _grown(item, (230, 300), (1.0, 1.3))
    teeth = 16
    upper = [(0.03 + 0.94 * i / teeth, 0.012 * (i % 2)) for i in range(teeth + 1)]
    lower = [(x, 1 - y) for x, y in reversed(upper)]
    outline = [*upper, (0.94, 0.07), (0.99, 0.25), (1.0, 0.5), (0.99, 0.75), (0.94, 0.93), *lower,
               (0.06, 0.93), (0.01, 0.75), (0.0, 0.5), (0.01, 0.25), (0.06, 0.07)]  # fmt: skip
    return _draw_soft(item, wide, high, outline, crimps=(0.065, 0.935))


def draw_jug(item: Item) -> Image.Image:
    """Draws a plastic jug with a handle, a cap and a label in the middle."""
    wide, high = _grown(item, (230, 300), (1.02, 1.22))
    outline = [(0.3, 0.1), (0.52, 0.1), (0.8, 0.16), (0.97, 0.3), (1.0, 0.45), (0.98, 0.95), (0.92, 1.0),
               (0.08, 1.0), (0.02, 0.95), (0.0, 0.45), (0.06, 0.3), (0.26, 0.18)]  # fmt: skip
    mask = _mask(outline, wide, high)
    ImageDraw.Draw(mask).line([(wide * x, high * y) for x, y in ((0.62, 0.24), (0.74, 0.25), (0.85, 0.34))],
                              fill=0, width=wide // 11, joint="curve")  # fmt: skip
    plastic = Image.new("RGB", (wide, high), mixed(item.variant.colour, item.design.accent, 0.45))
    label = _scaled_label(item, int(wide * 0.84), int(high * 0.56))
    plastic.paste(label.resize((int(wide * 0.84), int(high * 0.56)), Image.Resampling.LANCZOS),
                  (int(wide * 0.08), int(high * 0.39)))  # fmt: skip
    jug = _shaded(plastic, _pillow_light(wide, high, random.Random(item.line), folds=0))
    jug.putalpha(mask.filter(ImageFilter.SMOOTH))
    draw = ImageDraw.Draw(jug)
    cap = (wide * 0.28, 0, wide * 0.54, high * 0.115)
    draw.rectangle(cap, fill=item.design.cap)
    for i in range(9):
        x = cap[0] + (cap[2] - cap[0]) * (i + 0.5) / 9
        draw.line(
            (x, 2, x, cap[3] - 3), fill=mixed(item.design.cap, BLACK, 0.15 + 0.03 * i), width=2
        )
    return jug


def _grown(item: Item, size: tuple[int, int], growth: tuple[float, float]) -> tuple[int, int]:
    """Returns the pixels of a package: the large size has other proportions than the small one."""
    if item.size_rank == 0:
        return size
    return int(size[0] * growth[0]), int(size[1] * growth[1])


def _sheet(colour: Colour) -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


def _scaled_label(item: Item, wide: int, high: int) -> Image.Image:
    return draw_label(item, int(wide * PRINT_SCALE), int(high * PRINT_SCALE), READABLE)


def _lit(face: Image.Image, left: float, right: float) -> Image.Image:
    """Lights a flat face with a gradient from left to right."""
    light = np.linspace(left, right, face.width, dtype=np.float32)[None, :, None]
    return Image.fromarray(np.clip(np.asarray(face) * light, 0, 255).astype(np.uint8))


def _paste_quad(canvas: Image.Image, face: Image.Image, corners: list[Point]) -> None:
    """Pastes a picture so that its corners fall on four points, clockwise from the upper left."""
    coefficients = perspective(corners, face.size)
    grown = face.transform(
        canvas.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC
    )
    mask = Image.new("L", (canvas.width * 2, canvas.height * 2), 0)
    ImageDraw.Draw(mask).polygon([(x * 2, y * 2) for x, y in corners], fill=255)
    canvas.paste(grown, (0, 0), mask.resize(canvas.size, Image.Resampling.BOX))


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


def _mask(outline: list[Point], wide: int, high: int) -> Image.Image:
    mask = Image.new("L", (wide * 2, high * 2), 0)
    ImageDraw.Draw(mask).polygon(
        [(x * (wide * 2 - 1), y * (high * 2 - 1)) for x, y in outline], fill=255
    )
    return mask.resize((wide, high), Image.Resampling.BOX)


def _draw_soft(
    item: Item, wide: int, high: int, outline: list[Point], crimps: tuple[float, float]
) -> Image.Image:
    """Draws a bag of film: a full print, crimped ends, light that shows folds."""
    film = _scaled_label(item, wide, high).resize((wide, high), Image.Resampling.LANCZOS)
    light = _pillow_light(wide, high, random.Random(f"{item.brand.name} {item.line}"), folds=6)
    for share in crimps:
        if share:
            top, bottom = (0.0, share) if share < 0.5 else (share, 1.0)
            rows = slice(int(top * high), int(bottom * high))
            light[rows] = light[rows] * 0.5 + 0.42 + 0.1 * np.cos(np.arange(wide) * 1.05)[None, :]
    picture = _shaded(film, light)
    picture.putalpha(_mask(outline, wide, high).filter(ImageFilter.SMOOTH))
    return picture


def _pillow_light(wide: int, high: int, rng: random.Random, folds: int) -> npt.NDArray[np.float32]:
    """Returns the light on a filled bag as factors (H, W) around 1, with soft folds."""
    x = np.linspace(-1, 1, wide, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, high, dtype=np.float32)[:, None]
    light = 1.04 - 0.3 * np.abs(x) ** 4 - 0.12 * np.abs(y) ** 6 - 0.07 * x
    for _ in range(folds):
        angle, place = rng.uniform(-0.6, 0.6), rng.uniform(-0.9, 0.9)
        across = x * np.cos(angle) + y * np.sin(angle) - place
        reach = np.exp(-(((y - rng.choice((-1, 1))) / 0.7) ** 2))
        light += (
            rng.uniform(0.08, 0.16)
            * reach
            * (np.exp(-((across / 0.05) ** 2)) - np.exp(-(((across - 0.08) / 0.05) ** 2)))
        )
    return light + 0.13 * np.exp(-(((x + 0.55) / 0.12) ** 2)) * (1 - y**4)


def _shaded(film: Image.Image, light: npt.NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(film) * light[..., None], 0, 255).astype(np.uint8))
