"""Marks and pictograms of the generated catalogue: a brand's sign, a slice of lemon, a leaf."""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import ImageDraw

from training.catalogues.generated.vocabulary import Colour

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
Point = tuple[float, float]
Draw = ImageDraw.ImageDraw
Sign = Callable[[Draw, float, float, float, Colour, Colour], None]


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


def circle(draw: Draw, x: float, y: float, radius: float, fill: Colour) -> None:
    """Fills a disc."""
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def regular(x: float, y: float, radius: float, corners: int, turn: float = 0.0) -> list[Point]:
    """Returns the corners of a regular polygon; `turn` is in radians."""
    return [
        (x + radius * math.sin(turn + 2 * math.pi * i / corners),
         y - radius * math.cos(turn + 2 * math.pi * i / corners))
        for i in range(corners)
    ]  # fmt: skip


def star(x: float, y: float, radius: float, points: int, depth: float) -> list[Point]:
    """Returns the corners of a star whose inner radius is `depth` times the outer one."""
    return [
        (x + r * math.sin(math.pi * i / points), y - r * math.cos(math.pi * i / points))
        for i in range(2 * points)
        for r in ((radius if i % 2 == 0 else radius * depth),)
    ]


def _leaf_shape(x: float, y: float, radius: float, turn: float) -> list[Point]:
    points = []
    for i in range(25):
        along = i / 12 - 1 if i <= 12 else 3 - i / 12
        side = (1 if i <= 12 else -1) * 0.45 * (1 - along * along)
        points.append(
            (x + radius * (along * math.cos(turn) - side * math.sin(turn)),
             y + radius * (along * math.sin(turn) + side * math.cos(turn)))
        )  # fmt: skip
    return points


def _disc(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    circle(draw, x, y, r, fill)
    circle(draw, x + r * 0.28, y - r * 0.22, r * 0.5, back)


def _ring(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    circle(draw, x, y, r, fill)
    circle(draw, x, y, r * 0.62, back)
    circle(draw, x, y, r * 0.28, fill)


def _diamond(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    draw.polygon(regular(x, y, r, 4), fill=fill)
    draw.polygon(regular(x, y, r * 0.45, 4), fill=back)


def _shield(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    outline = [
        (-0.85, -0.9),
        (0.85, -0.9),
        (0.8, 0.1),
        (0.45, 0.7),
        (0, 1),
        (-0.45, 0.7),
        (-0.8, 0.1),
    ]
    draw.polygon([(x + r * a, y + r * b) for a, b in outline], fill=fill)
    draw.polygon(
        [(x, y - r * 0.6), (x + r * 0.5, y), (x, y + r * 0.6), (x - r * 0.5, y)], fill=back
    )


def _crown(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    outline = [
        (-1, -0.5),
        (-0.5, 0.05),
        (0, -0.85),
        (0.5, 0.05),
        (1, -0.5),
        (0.8, 0.7),
        (-0.8, 0.7),
    ]
    draw.polygon([(x + r * a, y + r * b) for a, b in outline], fill=fill)
    draw.line(
        (x - r * 0.7, y + r * 0.45, x + r * 0.7, y + r * 0.45), fill=back, width=int(r * 0.18) + 1
    )


def _sun(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    draw.polygon(star(x, y, r, 10, 0.68), fill=fill)
    circle(draw, x, y, r * 0.42, back)


def _hexagon(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    draw.polygon(regular(x, y, r, 6), fill=fill)
    draw.polygon(regular(x, y, r * 0.5, 3), fill=back)


def _bars(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    del back
    for i, height in enumerate((0.5, 0.95, 0.7)):
        left = x + r * (i * 0.66 - 0.95)
        draw.rectangle((left, y + r * (0.8 - 1.6 * height), left + r * 0.5, y + r * 0.8), fill=fill)


def _moon(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    circle(draw, x, y, r, fill)
    circle(draw, x + r * 0.45, y - r * 0.2, r * 0.8, back)


def _peak(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    draw.polygon(
        [(x - r, y + r * 0.7), (x - r * 0.1, y - r * 0.9), (x + r, y + r * 0.7)], fill=fill
    )
    snow = [(-0.42, -0.3), (-0.1, -0.9), (0.28, -0.35), (-0.05, -0.1)]
    draw.polygon([(x + r * a, y + r * b) for a, b in snow], fill=back)


def _citrus(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    circle(draw, x, y, r, fill)
    circle(draw, x, y, r * 0.86, back)
    for i in range(8):
        start = i * 45 + 4
        box = (x - r * 0.76, y - r * 0.76, x + r * 0.76, y + r * 0.76)
        draw.pieslice(box, start, start + 37, fill=fill)


def _fruit(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    circle(draw, x - r * 0.3, y + r * 0.2, r * 0.68, fill)
    circle(draw, x + r * 0.3, y + r * 0.2, r * 0.68, fill)
    circle(draw, x - r * 0.45, y - r * 0.05, r * 0.16, mixed(fill, WHITE, 0.6))
    draw.line(
        (x, y - r * 0.3, x + r * 0.1, y - r * 0.95), fill=(90, 60, 30), width=int(r * 0.12) + 1
    )
    draw.polygon(_leaf_shape(x + r * 0.42, y - r * 0.75, r * 0.4, -0.4), fill=(70, 150, 60))
    del back


def _cherries(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    for dx in (-0.45, 0.45):
        draw.line(
            (x + r * dx, y + r * 0.4, x, y - r * 0.9), fill=(70, 130, 50), width=int(r * 0.1) + 1
        )
        circle(draw, x + r * dx, y + r * 0.45, r * 0.48, fill)
        circle(draw, x + r * (dx - 0.15), y + r * 0.3, r * 0.12, mixed(fill, WHITE, 0.7))
    draw.polygon(_leaf_shape(x + r * 0.4, y - r * 0.8, r * 0.4, 0.2), fill=(70, 150, 60))
    del back


def _berry(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    outline = [(-0.75, -0.45), (0, -0.65), (0.75, -0.45), (0.7, 0.1), (0.3, 0.75), (0, 0.98),
               (-0.3, 0.75), (-0.7, 0.1)]  # fmt: skip
    draw.polygon([(x + r * a, y + r * b) for a, b in outline], fill=fill)
    for dx, dy in ((-0.35, -0.2), (0.3, -0.25), (0, 0.1), (-0.25, 0.4), (0.3, 0.35)):
        circle(draw, x + r * dx, y + r * dy, r * 0.07, (255, 230, 140))
    draw.polygon(star(x, y - r * 0.62, r * 0.5, 5, 0.45), fill=(60, 145, 60))
    del back


def _berries(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    for dx, dy in ((-0.5, -0.1), (0.5, -0.1), (0, 0.5), (0, -0.5)):
        circle(draw, x + r * dx, y + r * dy, r * 0.46, mixed(fill, WHITE, 0.15 + dy * 0.2))
        circle(draw, x + r * dx, y + r * dy - r * 0.1, r * 0.12, mixed(fill, BLACK, 0.4))
    del back


def _leaf(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    for dx, turn in ((-0.35, 0.9), (0.35, -0.9 + math.pi), (0.0, math.pi / 2)):
        draw.polygon(
            _leaf_shape(x + r * dx, y, r * 0.85, turn), fill=mixed(fill, BLACK, abs(dx) / 3)
        )
    draw.line((x, y - r * 0.7, x, y + r * 0.95), fill=back, width=int(r * 0.07) + 1)


def _flower(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    for px, py in regular(x, y, r * 0.6, 6):
        circle(draw, px, py, r * 0.37, fill)
    circle(draw, x, y, r * 0.32, (250, 205, 70))
    del back


def _drop(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    circle(draw, x, y + r * 0.3, r * 0.65, fill)
    draw.polygon([(x - r * 0.6, y + r * 0.08), (x, y - r), (x + r * 0.6, y + r * 0.08)], fill=fill)
    circle(draw, x - r * 0.22, y + r * 0.3, r * 0.16, mixed(fill, WHITE, 0.7))
    del back


def _bean(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    for dx, dy in ((-0.4, 0.3), (0.4, -0.25)):
        cx, cy = x + r * dx, y + r * dy
        draw.ellipse((cx - r * 0.55, cy - r * 0.7, cx + r * 0.55, cy + r * 0.7), fill=fill)
        draw.line((cx - r * 0.08, cy - r * 0.55, cx + r * 0.1, cy, cx - r * 0.08, cy + r * 0.55),
                  fill=back, width=int(r * 0.12) + 1)  # fmt: skip


def _waves(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    for row in (-0.5, 0.0, 0.5):
        points = [
            (x + r * (i / 10 - 1), y + r * (row + 0.17 * math.sin(i * 0.95))) for i in range(21)
        ]
        draw.line(points, fill=fill, width=int(r * 0.24) + 1)
    del back


def _wedge(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    draw.polygon([(x - r, y + r * 0.1), (x + r * 0.6, y - r * 0.75), (x + r, y + r * 0.1)],
                 fill=mixed(fill, WHITE, 0.35))  # fmt: skip
    draw.rectangle((x - r, y + r * 0.1, x + r, y + r * 0.75), fill=fill)
    for dx, dy, size in ((-0.5, 0.45, 0.17), (0.2, 0.35, 0.13), (0.65, 0.55, 0.12)):
        circle(draw, x + r * dx, y + r * dy, r * size, mixed(fill, (120, 70, 0), 0.4))
    del back


def _pepper(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    outline = [(-0.5, -0.5), (0.1, -0.65), (0.55, -0.4), (0.5, 0.2), (0.1, 0.7), (-0.7, 0.95),
               (-0.25, 0.5), (-0.45, 0.0)]  # fmt: skip
    draw.polygon([(x + r * a, y + r * b) for a, b in outline], fill=fill)
    draw.line((x, y - r * 0.55, x + r * 0.3, y - r), fill=(60, 130, 50), width=int(r * 0.2) + 1)
    del back


def _crystal(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    for end_x, end_y in regular(x, y, r, 6):
        draw.line((x, y, end_x, end_y), fill=fill, width=int(r * 0.2) + 1)
    draw.polygon(regular(x, y, r * 0.5, 6), fill=fill)
    draw.polygon(regular(x, y, r * 0.25, 6), fill=back)


def _heart(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    circle(draw, x - r * 0.44, y - r * 0.3, r * 0.5, fill)
    circle(draw, x + r * 0.44, y - r * 0.3, r * 0.5, fill)
    draw.polygon(
        [(x - r * 0.9, y - r * 0.1), (x, y + r * 0.95), (x + r * 0.9, y - r * 0.1)], fill=fill
    )
    del back


def _star(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    draw.polygon(star(x, y, r, 5, 0.45), fill=fill)
    circle(draw, x, y, r * 0.2, back)


def _fish(draw: Draw, x: float, y: float, r: float, fill: Colour, back: Colour) -> None:
    draw.ellipse((x - r, y - r * 0.45, x + r * 0.55, y + r * 0.45), fill=fill)
    draw.polygon([(x + r * 0.35, y), (x + r, y - r * 0.5), (x + r, y + r * 0.5)], fill=fill)
    circle(draw, x - r * 0.6, y - r * 0.1, r * 0.1, back)


SIGNS: dict[str, Sign] = {
    "disc": _disc, "ring": _ring, "diamond": _diamond, "shield": _shield, "crown": _crown,
    "sun": _sun, "hexagon": _hexagon, "bars": _bars, "moon": _moon, "peak": _peak,
    "citrus": _citrus, "fruit": _fruit, "cherries": _cherries, "berry": _berry,
    "berries": _berries, "leaf": _leaf, "flower": _flower, "drop": _drop, "bean": _bean,
    "waves": _waves, "wedge": _wedge, "pepper": _pepper, "crystal": _crystal, "heart": _heart,
    "star": _star, "fish": _fish,
}  # fmt: skip
