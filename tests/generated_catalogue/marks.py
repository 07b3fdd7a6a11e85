"""Marks and pictograms of the generated catalogue: a brand's sign, a slice of lemon, a leaf.

A sign is a list of strokes around the origin, with 1 for its radius and y pointing down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PIL import ImageDraw

from tests.generated_catalogue.vocabulary import Colour

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
STALK, TWIG, LEAF = (90, 60, 30), (70, 130, 50), (70, 150, 60)
Point = tuple[float, float]
Draw = ImageDraw.ImageDraw
# Of a sign's own colour and that of its ground.
Ink = Callable[[Colour, Colour], Colour]
Paint = Callable[[Draw, list[Point], Colour, float], None]
Stroke = Callable[[Draw, float, float, float, Colour, Colour], None]


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """Mixes two colours; `share` 0 to 1 is the part of `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def luminance(colour: Colour) -> float:
    """Returns how light a colour looks, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def ink_on(colour: Colour) -> Colour:
    """Returns the ink that reads well on a ground."""
    return (30, 28, 35) if luminance(colour) > 150 else (255, 255, 252)


def regular(x: float, y: float, radius: float, corners: int) -> list[Point]:
    """Returns the corners of a regular polygon, the first one at the top."""
    return star(x, y, radius, corners, 1.0)[::2]


def star(x: float, y: float, radius: float, points: int, depth: float) -> list[Point]:
    """Returns the corners of a star whose inner radius is `depth` times the outer one."""
    return [
        (x + r * math.sin(math.pi * i / points), y - r * math.cos(math.pi * i / points))
        for i in range(2 * points)
        for r in ((radius if i % 2 == 0 else radius * depth),)
    ]


def draw_sign(
    draw: Draw, name: str, centre: Point, radius: float, fill: Colour, back: Colour
) -> None:
    """Draws one of `SIGNS`; centre and radius are in pixels, `back` is the ground's colour."""
    for stroke in SIGNS[name]:
        stroke(draw, *centre, radius, fill, back)


def _fill(fill: Colour, back: Colour) -> Colour:
    return fill


def _back(fill: Colour, back: Colour) -> Colour:
    return back


def _only(colour: Colour) -> Ink:
    return lambda fill, back: colour


def _tint(other: Colour, share: float) -> Ink:
    return lambda fill, back: mixed(fill, other, share)


def _stroke(points: Sequence[Point], ink: Ink, paint: Paint, at: Point = (0, 0)) -> Stroke:
    def stroke(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
        x, y = x + r * at[0], y + r * at[1]
        paint(draw, [(x + r * a, y + r * b) for a, b in points], ink(fill, back), r)

    return stroke


def _shape(points: Sequence[Point], ink: Ink = _fill) -> Stroke:
    return _stroke(points, ink, lambda draw, corners, colour, r: draw.polygon(corners, colour))


def _line(points: Sequence[Point], width: float, ink: Ink = _fill, at: Point = (0, 0)) -> Stroke:
    def paint(draw: Draw, ends: list[Point], colour: Colour, radius: float) -> None:
        draw.line(ends, colour, int(radius * width) + 1)

    return _stroke(points, ink, paint, at)


def _oval(at: Point, left: float, top: float, right: float, bottom: float, ink: Ink) -> Stroke:
    box = ((left, top), (right, bottom))
    return _stroke(box, ink, lambda draw, ends, colour, r: draw.ellipse(ends, colour), at)


def _disc(a: float, b: float, radius: float, ink: Ink = _fill) -> Stroke:
    return _oval((a, b), -radius, -radius, radius, radius, ink)


def _box(left: float, top: float, right: float, bottom: float) -> Stroke:
    box = ((left, top), (right, bottom))
    return _stroke(box, _fill, lambda draw, ends, colour, r: draw.rectangle(ends, colour))


def _slice(start: float, end: float) -> Stroke:
    box = ((-0.76, -0.76), (0.76, 0.76))
    return _stroke(
        box, _fill, lambda draw, ends, colour, r: draw.pieslice(ends, start, end, colour)
    )


def _blade(a: float, b: float, size: float, turn: float, ink: Ink) -> Stroke:
    points = []
    for i in range(25):
        along = i / 12 - 1 if i <= 12 else 3 - i / 12
        side = (1 if i <= 12 else -1) * 0.45 * (1 - along * along)
        points.append(
            (a + size * (along * math.cos(turn) - side * math.sin(turn)),
             b + size * (along * math.sin(turn) + side * math.cos(turn)))
        )  # fmt: skip
    return _shape(points, ink)


SIGNS: dict[str, Sequence[Stroke]] = {
    "disc": (_disc(0, 0, 1), _disc(0.28, -0.22, 0.5, _back)),
    "ring": (_disc(0, 0, 1), _disc(0, 0, 0.62, _back), _disc(0, 0, 0.28)),
    "diamond": (_shape(regular(0, 0, 1, 4)), _shape(regular(0, 0, 0.45, 4), _back)),
    "shield": (
        _shape([(-0.85, -0.9), (0.85, -0.9), (0.8, 0.1), (0.45, 0.7), (0, 1), (-0.45, 0.7),
                (-0.8, 0.1)]),
        _shape([(0, -0.6), (0.5, 0), (0, 0.6), (-0.5, 0)], _back)),
    "crown": (
        _shape([(-1, -0.5), (-0.5, 0.05), (0, -0.85), (0.5, 0.05), (1, -0.5), (0.8, 0.7),
                (-0.8, 0.7)]),
        _line([(-0.7, 0.45), (0.7, 0.45)], 0.18, _back)),
    "sun": (_shape(star(0, 0, 1, 10, 0.68)), _disc(0, 0, 0.42, _back)),
    "hexagon": (_shape(regular(0, 0, 1, 6)), _shape(regular(0, 0, 0.5, 3), _back)),
    "bars": [_box(i * 0.66 - 0.95, 0.8 - 1.6 * high, i * 0.66 - 0.45, 0.8)
             for i, high in enumerate((0.5, 0.95, 0.7))],
    "moon": (_disc(0, 0, 1), _disc(0.45, -0.2, 0.8, _back)),
    "peak": (_shape([(-1, 0.7), (-0.1, -0.9), (1, 0.7)]),
             _shape([(-0.42, -0.3), (-0.1, -0.9), (0.28, -0.35), (-0.05, -0.1)], _back)),
    "citrus": (_disc(0, 0, 1), _disc(0, 0, 0.86, _back),
               *(_slice(i * 45 + 4, i * 45 + 41) for i in range(8))),
    "fruit": (_disc(-0.3, 0.2, 0.68), _disc(0.3, 0.2, 0.68),
              _disc(-0.45, -0.05, 0.16, _tint(WHITE, 0.6)),
              _line([(0, -0.3), (0.1, -0.95)], 0.12, _only(STALK)),
              _blade(0.42, -0.75, 0.4, -0.4, _only(LEAF))),
    "cherries": (
        *(stroke for x in (-0.45, 0.45) for stroke in (
            _line([(x, 0.4), (0, -0.9)], 0.1, _only(TWIG)), _disc(x, 0.45, 0.48),
            _disc(x - 0.15, 0.3, 0.12, _tint(WHITE, 0.7)))),
        _blade(0.4, -0.8, 0.4, 0.2, _only(LEAF))),
    "berry": (
        _shape([(-0.75, -0.45), (0, -0.65), (0.75, -0.45), (0.7, 0.1), (0.3, 0.75), (0, 0.98),
                (-0.3, 0.75), (-0.7, 0.1)]),
        *(_disc(x, y, 0.07, _only((255, 230, 140)))
          for x, y in ((-0.35, -0.2), (0.3, -0.25), (0, 0.1), (-0.25, 0.4), (0.3, 0.35))),
        _shape(star(0, -0.62, 0.5, 5, 0.45), _only((60, 145, 60)))),
    "berries": [stroke for x, y in ((-0.5, -0.1), (0.5, -0.1), (0, 0.5), (0, -0.5)) for stroke in (
        _disc(x, y, 0.46, _tint(WHITE, 0.15 + y * 0.2)),
        _disc(x, y - 0.1, 0.12, _tint(BLACK, 0.4)))],
    "leaf": (
        *(_blade(x, 0, 0.85, turn, _tint(BLACK, abs(x) / 3))
          for x, turn in ((-0.35, 0.9), (0.35, -0.9 + math.pi), (0.0, math.pi / 2))),
        _line([(0, -0.7), (0, 0.95)], 0.07, _back)),
    "flower": (*(_disc(x, y, 0.37) for x, y in regular(0, 0, 0.6, 6)),
               _disc(0, 0, 0.32, _only((250, 205, 70)))),
    "drop": (_disc(0, 0.3, 0.65), _shape([(-0.6, 0.08), (0, -1), (0.6, 0.08)]),
             _disc(-0.22, 0.3, 0.16, _tint(WHITE, 0.7))),
    "bean": [stroke for x, y in ((-0.4, 0.3), (0.4, -0.25)) for stroke in (
        _oval((x, y), -0.55, -0.7, 0.55, 0.7, _fill),
        _line([(-0.08, -0.55), (0.1, 0), (-0.08, 0.55)], 0.12, _back, (x, y)))],
    "waves": [_line([(i / 10 - 1, y + 0.17 * math.sin(i * 0.95)) for i in range(21)], 0.24)
              for y in (-0.5, 0.0, 0.5)],
    "wedge": (_shape([(-1, 0.1), (0.6, -0.75), (1, 0.1)], _tint(WHITE, 0.35)),
              _box(-1, 0.1, 1, 0.75),
              *(_disc(x, y, size, _tint((120, 70, 0), 0.4))
                for x, y, size in ((-0.5, 0.45, 0.17), (0.2, 0.35, 0.13), (0.65, 0.55, 0.12)))),
    "pepper": (
        _shape([(-0.5, -0.5), (0.1, -0.65), (0.55, -0.4), (0.5, 0.2), (0.1, 0.7), (-0.7, 0.95),
                (-0.25, 0.5), (-0.45, 0.0)]),
        _line([(0, -0.55), (0.3, -1)], 0.2, _only((60, 130, 50)))),
    "crystal": (*(_line([(0, 0), end], 0.2) for end in regular(0, 0, 1, 6)),
                _shape(regular(0, 0, 0.5, 6)), _shape(regular(0, 0, 0.25, 6), _back)),
    "heart": (_disc(-0.44, -0.3, 0.5), _disc(0.44, -0.3, 0.5),
              _shape([(-0.9, -0.1), (0, 0.95), (0.9, -0.1)])),
    "star": (_shape(star(0, 0, 1, 5, 0.45)), _disc(0, 0, 0.2, _back)),
    "fish": (_oval((0, 0), -1, -0.45, 0.55, 0.45, _fill), _shape([(0.35, 0), (1, -0.5), (1, 0.5)]),
             _disc(-0.6, -0.1, 0.1, _back)),
}  # fmt: skip
