"""Ornaments of the generated catalogue: the pattern that a family of packages wears."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from tests.generated_catalogue.assortment import Design
from tests.generated_catalogue.marks import (
    BLACK,
    WHITE,
    Draw,
    draw_sign,
    luminance,
    mixed,
    regular,
)
from tests.generated_catalogue.vocabulary import Colour

Box = tuple[float, float, float, float]


def draw_ornament(draw: Draw, design: Design, box: Box, ground: Colour) -> None:
    """Covers a rectangle with the family's pattern, in a shade of its ground; none is "plain"."""
    if design.ornament == "plain":
        return
    shade = mixed(ground, BLACK if luminance(ground) > 170 else WHITE, 0.28)
    if luminance(design.accent) < 100 < luminance(ground):
        shade = mixed(ground, design.accent, 0.4)
    step = (box[2] - box[0]) / 9
    PATTERNS[design.ornament](draw, box, step, shade)


def _grid(box: Box, step: float) -> list[tuple[float, float, int]]:
    """Returns the crossings of a staggered grid with the number of their row."""
    rows, columns = int((box[3] - box[1]) / step) + 1, int((box[2] - box[0]) / step) + 2
    return [
        (box[0] + (column + row % 2 / 2) * step, box[1] + (row + 0.5) * step, row)
        for row in range(rows)
        for column in range(columns)
    ]


def _stripes(draw: Draw, box: Box, step: float, shade: Colour) -> None:
    for i in range(10):
        left = box[0] + i * step
        draw.rectangle((left, box[1], left + step * 0.4, box[3]), fill=shade)


def _dots(draw: Draw, box: Box, step: float, shade: Colour) -> None:
    for x, y, _ in _grid(box, step):
        draw.ellipse((x - step / 4, y - step / 4, x + step / 4, y + step / 4), fill=shade)


def _curves(draw: Draw, box: Box, step: float, shade: Colour, sharp: bool) -> None:
    for row in range(int((box[3] - box[1]) / step) + 1):
        y = box[1] + (row + 0.5) * step
        stops = range(0, 73, 4 if sharp else 1)
        rises = [i % 8 / 2 - 1 if sharp else math.sin(i * math.pi / 4) for i in stops]
        points = [
            (box[0] + step * i / 8, y + step * 0.28 * rise)
            for i, rise in zip(stops, rises, strict=True)
        ]
        draw.line(points, fill=shade, width=max(2, int(step * 0.2)))


def _rays(draw: Draw, box: Box, step: float, shade: Colour) -> None:
    x, y, reach = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, step * 16
    corners = regular(x, y, reach, 36)
    for i in range(0, 36, 2):
        draw.polygon([(x, y), corners[i], corners[(i + 1) % 36]], fill=shade)


def _checks(draw: Draw, box: Box, step: float, shade: Colour) -> None:
    for x, y, _ in _grid(box, step):
        draw.rectangle((x, y - step / 2, x + step / 2, y + step / 2), fill=shade)


def _rings(draw: Draw, box: Box, step: float, shade: Colour) -> None:
    for x, y, _ in _grid(box, step * 1.6):
        ends = (x - step * 0.6, y - step * 0.6, x + step * 0.6, y + step * 0.6)
        draw.ellipse(ends, outline=shade, width=max(2, int(step * 0.22)))


def _hills(draw: Draw, box: Box, step: float, shade: Colour) -> None:
    for x, y, row in _grid(box, step * 2.4):
        if row % 2 == 0:
            foot = y + step * 0.8
            draw.polygon([(x - step, foot), (x, y - step * 0.8), (x + step, foot)], fill=shade)


def _sprigs(draw: Draw, box: Box, step: float, shade: Colour) -> None:
    for x, y, _ in _grid(box, step * 1.5):
        draw_sign(draw, "leaf", (x, y), step * 0.55, shade, shade)


PATTERNS: dict[str, Callable[[Draw, Box, float, Colour], None]] = {
    "stripes": _stripes,
    "dots": _dots,
    "waves": functools.partial(_curves, sharp=False),
    "zigzag": functools.partial(_curves, sharp=True),
    "rays": _rays,
    "checks": _checks,
    "rings": _rings,
    "hills": _hills,
    "sprigs": _sprigs,
}
