"""Packages of the generated catalogue, each as a cut-out photo: bottles, cans, boxes, bags."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tests.generated_catalogue.assortment import Item
from tests.generated_catalogue.flat_packages import FOLDED
from tests.generated_catalogue.lathe import Lid, RoundForm, wrap_print
from tests.generated_catalogue.marks import BLACK, WHITE, Draw, mixed
from tests.generated_catalogue.printed_labels import draw_label
from tests.generated_catalogue.vocabulary import Colour

METAL: Colour = (188, 192, 198)
PRINT_SCALE = 1.5
READABLE = 0.56


ROUND_FORMS = {
    "bottle": RoundForm(
        width=150, height=380, growth=(1.22, 1.08), label=(0.4, 0.88), cap=0.075, body="glass",
        outline=((0, 0.15), (0.072, 0.15), (0.078, 0.12), (0.15, 0.13), (0.33, 0.47), (0.38, 0.5),
                 (0.96, 0.5), (1, 0.46)), tilt=0.07, gloss=0.8),
    "can": RoundForm(
        width=180, height=310, growth=(1.0, 1.24), label=(0.045, 0.955), body="metal", top="metal",
        outline=((0, 0.42), (0.05, 0.5), (0.95, 0.5), (1, 0.43)), tilt=0.15, gloss=0.8),
    "tin": RoundForm(
        width=240, height=200, growth=(1.0, 1.5), label=(0.05, 0.95), body="metal", top="metal",
        outline=((0, 0.5), (0.02, 0.485), (0.98, 0.485), (1, 0.5)), tilt=0.2, gloss=0.5),
    "pail": RoundForm(
        width=250, height=240, growth=(0.98, 1.28), label=(0.07, 1.0), cap=0.07, top="cap",
        outline=((0, 0.5), (0.065, 0.5), (0.075, 0.47), (1, 0.42)), tilt=0.18, gloss=0.35),
    "jar": RoundForm(
        width=220, height=260, growth=(1.0, 1.3), label=(0.38, 0.88), cap=0.19, body="glass",
        top="cap", outline=((0, 0.43), (0.18, 0.43), (0.2, 0.39), (0.23, 0.42), (0.3, 0.5),
                            (0.94, 0.5), (1, 0.44)),
        tilt=0.16, gloss=0.7),
    "cup": RoundForm(
        width=240, height=230, growth=(0.95, 1.35), label=(0.07, 0.97), body="accent",
        top="foil", outline=((0, 0.5), (0.045, 0.5), (0.06, 0.46), (1, 0.35)),
        tilt=0.18, gloss=0.3),
    "tube": RoundForm(
        width=140, height=370, growth=(1.22, 1.05), label=(0.06, 0.84), cap=0.0, body="accent",
        outline=((0, 0.5), (0.06, 0.5), (0.83, 0.41), (0.85, 0.3), (1, 0.29)),
        tilt=0.02, gloss=0.45),
    "flacon": RoundForm(
        width=170, height=360, growth=(1.02, 1.17), label=(0.27, 0.95), cap=0.17, body="accent",
        outline=((0, 0.27), (0.168, 0.28), (0.172, 0.2), (0.19, 0.25), (0.25, 0.46), (0.32, 0.5),
                 (0.96, 0.48), (1, 0.44)), tilt=0.08, gloss=0.6),
    "pump": RoundForm(
        width=190, height=370, growth=(0.92, 1.16), label=(0.4, 0.95), cap=0.26, body="accent",
        outline=((0, 0.12), (0.05, 0.13), (0.055, 0.05), (0.19, 0.05), (0.195, 0.2), (0.26, 0.21),
                 (0.3, 0.4), (0.36, 0.5), (0.97, 0.5), (1, 0.46)), tilt=0.08, gloss=0.6),
    "spray": RoundForm(
        width=170, height=400, growth=(1.18, 1.02), label=(0.42, 0.95), cap=0.17, body="glass",
        outline=((0, 0.17), (0.1, 0.2), (0.105, 0.15), (0.17, 0.16), (0.3, 0.2), (0.4, 0.48),
                 (0.96, 0.5), (1, 0.46)), tilt=0.07, gloss=0.6),
    "mug": RoundForm(
        width=230, height=230, growth=(0.88, 1.3), label=(0.0, 1.0), body="brand", top="hollow",
        outline=((0, 0.5), (0.95, 0.48), (1, 0.44)), tilt=0.2, gloss=0.55),
    "thermos": RoundForm(
        width=130, height=360, growth=(1.22, 1.1), label=(0.24, 0.93), cap=0.2, body="metal",
        outline=((0, 0.4), (0.02, 0.43), (0.195, 0.43), (0.205, 0.45), (0.24, 0.5), (0.97, 0.5),
                 (1, 0.48)),
        tilt=0.1, gloss=0.9),
}  # fmt: skip

# Outlines of nozzle and trigger: shares of width from the middle, and of height from the top.
HEADS = {
    "pump": ((0.05, 0.01), (-0.55, 0.012), (-0.6, 0.055), (-0.52, 0.06), (-0.5, 0.042),
             (0.05, 0.055)),
    "spray": ((0.3, 0.0), (-0.5, 0.01), (-0.55, 0.06), (-0.2, 0.085), (-0.4, 0.22), (-0.31, 0.23),
              (-0.1, 0.11), (0.2, 0.1)),
}  # fmt: skip


def draw_package(item: Item) -> Image.Image:
    """Draws the package of a product, standing and seen from the front.

    Returns:
        An RGBA picture of about 200 to 430 pixels, cropped to the package, transparent around it.
    """
    form = item.design.form
    picture = FOLDED[form](item) if form in FOLDED else _draw_round(item, ROUND_FORMS[form])
    box = picture.getchannel("A").getbbox()
    return picture.crop(box) if box else picture


def _draw_round(item: Item, form: RoundForm) -> Image.Image:
    width, height = form.width, form.height
    if item.size_rank:
        width, height = int(width * form.growth[0]), int(height * form.growth[1])
    flat = _flat_print(item, form, width, height)
    picture = wrap_print(flat, form, _lid(item, form), width, height)
    if item.design.form in ("pump", "spray", "mug", "pail"):
        return _with_fittings(item, picture)
    return picture


def _flat_print(item: Item, form: RoundForm, width: int, height: int) -> Image.Image:
    """Draws cap, body and label as one flat sheet, half the circumference wide."""
    sheet = int(width * np.pi / 2 * PRINT_SCALE / 1.2), int(height * PRINT_SCALE)
    glass = mixed(item.variant.colour, (215, 230, 235), 0.35)
    bodies = {"brand": item.brand.colour, "accent": item.design.accent, "glass": glass}
    flat = Image.new("RGB", sheet, bodies.get(form.body, METAL))
    draw = ImageDraw.Draw(flat)
    if form.cap:
        _draw_cap(draw, item.design.cap, sheet[0], int(sheet[1] * form.cap))
    if item.design.form == "tube":
        _draw_cap(draw, item.design.cap, sheet[0], sheet[1], int(sheet[1] * 0.845))
    start, end = (int(sheet[1] * share) for share in form.label)
    flat.paste(draw_label(item, sheet[0], end - start, READABLE), (0, start))
    if item.design.form == "tube":
        crimp = mixed(item.design.accent, BLACK, 0.12)
        draw.rectangle((0, 0, sheet[0], sheet[1] * 0.055), fill=crimp)
    return flat


def _draw_cap(draw: Draw, colour: Colour, width: int, bottom: int, top: int = 0) -> None:
    draw.rectangle((0, top, width, bottom), fill=colour)
    for x in range(0, width, max(6, width // 40)):
        draw.line((x, top, x, bottom), fill=mixed(colour, BLACK, 0.16), width=2)
    draw.line((0, bottom, width, bottom), fill=mixed(colour, BLACK, 0.4), width=3)


def _lid(item: Item, form: RoundForm) -> Lid | None:
    cap, content = item.design.cap, item.variant.colour
    foil = mixed(content, (235, 238, 240), 0.55)
    lids = {
        "metal": ((205, 208, 213), (150, 154, 160)),
        "foil": (foil, mixed(foil, WHITE, 0.5)),
        "cap": (mixed(cap, WHITE, 0.18), cap),
        "hollow": (mixed(content, (70, 65, 60), 0.55), mixed(content, WHITE, 0.4)),
    }
    return lids.get(form.top)


def _with_fittings(item: Item, picture: Image.Image) -> Image.Image:
    """Adds nozzle, trigger or handle beside or above the turned body."""
    wide, high = picture.size
    side, above = int(wide * 0.32), int(high * 0.2) if item.design.form == "pail" else 0
    canvas = Image.new("RGBA", (wide + 2 * side, high + above), (0, 0, 0, 0))
    layer = Image.new("RGBA", (canvas.width * 2, canvas.height * 2), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    if item.design.form == "mug":
        box = (side + wide * 0.82, high * 0.25, side + wide * 1.24, high * 0.8)
        handle = mixed(item.brand.colour, BLACK, 0.15)
        draw.ellipse([v * 2 for v in box], outline=handle, width=int(wide * 0.14))
    elif item.design.form == "pail":
        arc = (side + wide * 0.04, 4, side + wide * 0.96, above + high * 0.45)
        draw.arc([v * 2 for v in arc], 180, 360, fill=(120, 124, 130), width=7)
    else:
        middle, outline = side + wide * 0.5, HEADS[item.design.form]
        corners = [((middle + wide * a) * 2, high * b * 2) for a, b in outline]
        draw.polygon(corners, fill=mixed(item.design.cap, BLACK, 0.12))
    fittings = layer.resize(canvas.size, Image.Resampling.BOX).filter(ImageFilter.SMOOTH)
    canvas.alpha_composite(fittings)
    canvas.alpha_composite(picture, (side, above))
    return canvas
