"""Folded packages of the generated catalogue: cardboard boxes and gable cartons."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from twinshelf.training.catalogues.generated.assortment import Item
from twinshelf.training.catalogues.generated.marks import BLACK, WHITE, Point, mixed
from twinshelf.training.catalogues.generated.printed_labels import draw_back, draw_label
from twinshelf.training.catalogues.generated.vocabulary import Colour

READABLE = 0.84
PRINT_SCALE = 1.4


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


def _screw_cap(canvas: Image.Image, centre: Point, radius: float, colour: Colour) -> None:
    draw, (x, y) = ImageDraw.Draw(canvas), centre
    for rise, fill in ((0.0, mixed(colour, BLACK, 0.3)), (0.3, colour)):
        top = y - radius * (0.55 + rise)
        draw.ellipse((x - radius, top, x + radius, top + radius * 1.3), fill=fill)


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
