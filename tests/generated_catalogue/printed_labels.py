"""Labels of the generated catalogue: the flat print of a package, before it is wrapped around."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.generated_catalogue.assortment import Item
from tests.generated_catalogue.marks import (
    BLACK,
    WHITE,
    Draw,
    draw_sign,
    ink_on,
    luminance,
    mixed,
    star,
)
from tests.generated_catalogue.ornaments import Box, draw_ornament
from tests.generated_catalogue.vocabulary import Colour


@functools.cache
def load_font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """Loads a font that comes with matplotlib, so that no system font is needed."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.BASIC)


def write_in(draw: Draw, text: str, box: Box, ink: Colour, font: str = "DejaVuSans-Bold") -> None:
    """Writes one line in the middle of a box, as large as fits."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    length = load_font(font, 32).getlength(text)
    size_px = max(6, int(min(high * 0.86, 32 * wide / max(length, 1.0))))
    middle = ((left + right) / 2, (top + bottom) / 2)
    draw.text(middle, text, fill=ink, font=load_font(font, size_px), anchor="mm")


def draw_label(item: Item, width: int, height: int, readable: float) -> Image.Image:
    """Draws the print of a package.

    Args:
        item: The product.
        width: Width of the print in pixels.
        height: Height of the print in pixels.
        readable: Share of the width, 0 to 1, around the middle where texts must stay: less for
            round packages, whose sides turn away.

    Returns:
        An RGB picture of the size asked for.
    """
    label = Image.new("RGB", (width, height), _ground(item))
    draw = ImageDraw.Draw(label)
    half = width * readable / 2
    box = (width / 2 - half, 0, width / 2 + half, height)
    LAYOUT_DRAWERS[item.design.layout](draw, item, box, width)
    return label


def draw_back(item: Item, width: int, height: int) -> Image.Image:
    """Draws the plain side of a package: ground, ornament and small print."""
    label = Image.new("RGB", (width, height), _ground(item))
    draw = ImageDraw.Draw(label)
    draw_ornament(draw, item.design, (0, 0, width, height), _ground(item))
    panel = (width * 0.12, height * 0.3, width * 0.88, height * 0.85)
    draw.rectangle(panel, fill=WHITE)
    for i in range(9):
        y = panel[1] + (panel[3] - panel[1]) * (i + 1) / 11
        end = panel[2] - width * (0.06 + 0.05 * (i % 3))
        draw.line((panel[0] + width * 0.06, y, end, y), fill=(120, 120, 125), width=2)
    return label


def _ground(item: Item) -> Colour:
    layout = item.design.layout
    if layout == "frame":
        return item.design.accent
    return item.brand.colour if layout in ("split", "diagonal", "ribbon") else item.variant.colour


def _rows(box: Box, top: float, bottom: float) -> Box:
    height = box[3] - box[1]
    return box[0], box[1] + height * top, box[2], box[1] + height * bottom


def _draw_logo(draw: Draw, item: Item, box: Box, ground: Colour) -> None:
    """Draws the brand's mark above its name."""
    is_clear = abs(luminance(ground) - luminance(item.brand.colour)) > 60
    ink = item.brand.colour if is_clear else ink_on(ground)
    left, top, right, bottom = box
    radius = (bottom - top) * 0.24
    centre = (left + right) / 2, top + radius * 1.15
    draw_sign(draw, item.brand.mark, centre, radius, ink, ground)
    write_in(draw, item.brand.name, _rows(box, 0.54, 1.0), ink, item.brand.font)


def _draw_picture(draw: Draw, item: Item, x: float, y: float, radius: float) -> None:
    """Draws the variant's pictogram on a round white field, smaller on a low label."""
    radius = min(radius, draw.im.size[1] * 0.13)
    colour = item.variant.colour
    pale, dark = mixed(colour, WHITE, 0.85), mixed(colour, BLACK, 0.35)
    field, edge = (x - radius, y - radius, x + radius, y + radius), max(2, int(radius / 10))
    draw.ellipse(field, fill=pale, outline=dark, width=edge)
    fill = mixed(colour, BLACK, 0.3) if luminance(colour) > 210 else colour
    draw_sign(draw, item.variant.picture, (x, y), radius * 0.68, fill, pale)


def _draw_size(draw: Draw, item: Item, box: Box, ground: Colour) -> None:
    """Prints the amount; a large package boasts of it in a star."""
    if item.size_rank == 0:
        write_in(draw, item.size.printed(item.brand.language), box, ink_on(ground))
        return
    x, y = box[2] - (box[2] - box[0]) * 0.12, (box[1] + box[3]) / 2
    radius = min((box[2] - box[0]) * 0.25, (box[3] - box[1]) * 1.3)
    y = min(y, box[3] - radius * 0.55)
    draw.polygon(star(x, y, radius, 14, 0.82), fill=(255, 235, 60), outline=(170, 20, 30))
    inner = (x - radius * 0.68, y - radius * 0.4, x + radius * 0.68, y + radius * 0.4)
    write_in(draw, item.size.printed(item.brand.language), inner, (170, 20, 30))


def _draw_names(draw: Draw, item: Item, box: Box, ground: Colour) -> None:
    ink, language = ink_on(ground), item.brand.language
    write_in(draw, item.line.upper(), _rows(box, 0.0, 0.46), ink, "DejaVuSerif-Bold")
    write_in(draw, item.kind.said(language), _rows(box, 0.46, 0.72), ink, "DejaVuSans")
    write_in(
        draw, item.variant.said(language), _rows(box, 0.72, 1.0), ink, "DejaVuSans-BoldOblique"
    )


def _layout_band(draw: Draw, item: Item, box: Box, width: int) -> None:
    colour = item.variant.colour
    draw_ornament(draw, item.design, (0, 0, width, box[3]), colour)
    draw.rectangle((0, box[3] * 0.08, width, box[3] * 0.36), fill=item.brand.colour)
    draw.rectangle((0, box[3] * 0.36, width, box[3] * 0.385), fill=item.design.accent)
    _draw_logo(draw, item, _rows(box, 0.09, 0.35), item.brand.colour)
    _draw_picture(draw, item, width / 2, box[3] * 0.53, (box[2] - box[0]) * 0.2)
    draw.rectangle((0, box[3] * 0.68, width, box[3] * 0.88), fill=mixed(colour, WHITE, 0.75))
    _draw_names(draw, item, _rows(box, 0.69, 0.87), mixed(colour, WHITE, 0.75))
    _draw_size(draw, item, _rows(box, 0.895, 0.985), colour)


def _layout_split(draw: Draw, item: Item, box: Box, width: int) -> None:
    colour = item.variant.colour
    draw_ornament(draw, item.design, (0, 0, width, box[3] * 0.5), item.brand.colour)
    draw.rectangle((0, box[3] * 0.5, width, box[3]), fill=colour)
    draw.rectangle((0, box[3] * 0.49, width, box[3] * 0.51), fill=item.design.accent)
    _draw_logo(draw, item, _rows(box, 0.05, 0.34), item.brand.colour)
    _draw_picture(draw, item, width / 2, box[3] * 0.5, (box[2] - box[0]) * 0.24)
    _draw_names(draw, item, _rows(box, 0.66, 0.88), colour)
    _draw_size(draw, item, _rows(box, 0.89, 0.98), colour)


def _layout_frame(draw: Draw, item: Item, box: Box, width: int) -> None:
    colour, ground = item.variant.colour, item.design.accent
    height = box[3]
    edge = height * 0.05
    draw_ornament(draw, item.design, (0, 0, width, height), ground)
    draw.rectangle((0, 0, width, edge), fill=item.brand.colour)
    draw.rectangle((0, height - edge, width, height), fill=item.brand.colour)
    _draw_logo(draw, item, _rows(box, 0.08, 0.3), ground)
    middle, half = width / 2, (box[2] - box[0]) * 0.56
    oval = (middle - half, height * 0.33, middle + half, height * 0.8)
    draw.ellipse(oval, fill=colour, outline=item.brand.colour, width=max(3, width // 70))
    _draw_picture(draw, item, middle, height * 0.45, half * 0.34)
    inner = (box[0] + half * 0.22, height * 0.56, box[2] - half * 0.22, height * 0.74)
    _draw_names(draw, item, inner, colour)
    _draw_size(draw, item, _rows(box, 0.83, 0.93), ground)


def _layout_diagonal(draw: Draw, item: Item, box: Box, width: int) -> None:
    colour, height = item.variant.colour, box[3]
    draw_ornament(draw, item.design, (0, 0, width, height), item.brand.colour)
    for rise, fill in ((0.03, item.design.accent), (0.0, colour)):
        top = height * (0.5 - rise)
        slope = [(0, top + height * 0.14), (width, top - height * 0.14)]
        draw.polygon([*slope, (width, height), (0, height)], fill=fill)
    _draw_logo(draw, item, _rows(box, 0.05, 0.33), item.brand.colour)
    _draw_picture(draw, item, box[2] - width * 0.1, height * 0.47, (box[2] - box[0]) * 0.2)
    _draw_names(draw, item, _rows(box, 0.62, 0.86), colour)
    _draw_size(draw, item, _rows(box, 0.87, 0.97), colour)


def _layout_arch(draw: Draw, item: Item, box: Box, width: int) -> None:
    colour, height = item.variant.colour, box[3]
    draw_ornament(draw, item.design, (0, 0, width, height), colour)
    grow = (box[2] - box[0]) * 0.1
    arch = (box[0] - grow, height * 0.04, box[2] + grow, height * 0.44)
    draw.ellipse((arch[0], arch[1], arch[2], height * 0.36), fill=item.brand.colour)
    draw.rectangle((arch[0], height * 0.2, arch[2], arch[3]), fill=item.brand.colour)
    _draw_logo(draw, item, _rows(box, 0.1, 0.36), item.brand.colour)
    draw.rectangle((arch[0], arch[3], arch[2], height * 0.74), fill=item.design.accent)
    _draw_picture(draw, item, width / 2, height * 0.45, (box[2] - box[0]) * 0.16)
    _draw_names(draw, item, _rows(box, 0.56, 0.73), item.design.accent)
    _draw_size(draw, item, _rows(box, 0.79, 0.93), colour)


def _layout_ribbon(draw: Draw, item: Item, box: Box, width: int) -> None:
    colour, height = item.variant.colour, box[3]
    draw_ornament(draw, item.design, (0, 0, width, height), item.brand.colour)
    reach = (box[2] - box[0]) * 0.06
    draw.rectangle((box[0] - reach, 0, box[2] + reach, height), fill=item.design.accent)
    draw.rectangle((box[0], 0, box[2], height), fill=colour)
    left, top, right, bottom = _rows(box, 0.08, 0.36)
    pale = mixed(item.brand.colour, WHITE, 0.9)
    draw.rectangle((left - reach * 2, top, right + reach * 2, bottom), fill=pale)
    _draw_logo(draw, item, _rows(box, 0.09, 0.35), pale)
    _draw_names(draw, item, _rows(box, 0.4, 0.6), colour)
    _draw_picture(draw, item, width / 2, height * 0.74, (box[2] - box[0]) * 0.24)
    _draw_size(draw, item, _rows(box, 0.88, 0.98), colour)


LAYOUT_DRAWERS: dict[str, Callable[[Draw, Item, Box, int], None]] = {
    "band": _layout_band,
    "split": _layout_split,
    "frame": _layout_frame,
    "diagonal": _layout_diagonal,
    "arch": _layout_arch,
    "ribbon": _layout_ribbon,
}
