"""The contact sheet as one picture: each offer beside its best matches, the right one marked."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from twinshelf.client.demo.held_out import MATCH_COUNT, MatchedOffer, photo_path
from twinshelf.client.demo.report import offer_name
from twinshelf.client.demo.thumbnails import load_thumbnail

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]

PHOTO_PX, PAD_PX, GAP_PX, TEXT_PX = 220, 14, 18, 118
CARD_WIDTH_PX = PHOTO_PX + 2 * PAD_PX
CARD_HEIGHT_PX = PHOTO_PX + 2 * PAD_PX + TEXT_PX
ARROW_PX, MARGIN_PX, HEAD_PX = 56, 40, 132
LINE_PX, BAR_PX = 23, 6

GROUND: Colour = (243, 242, 238)
CARD: Colour = (255, 255, 255)
OFFER_CARD: Colour = (232, 236, 245)
EDGE: Colour = (221, 219, 213)
INK: Colour = (28, 30, 34)
FAINT: Colour = (112, 115, 122)
RIGHT: Colour = (22, 138, 82)
WRONG: Colour = (196, 62, 50)
TRACK: Colour = (232, 231, 227)


def write_sheet(path: Path, matched: Sequence[MatchedOffer], *, title: str, subtitle: str) -> None:
    """Draws the sheet and writes it.

    Args:
        path: PNG file to write.
        matched: One row each.
        title: Headline.
        subtitle: Line below it.
    """
    sheet_size = (
        2 * MARGIN_PX + (MATCH_COUNT + 1) * CARD_WIDTH_PX + MATCH_COUNT * GAP_PX + ARROW_PX,
        HEAD_PX + len(matched) * (CARD_HEIGHT_PX + GAP_PX) + MARGIN_PX,
    )
    sheet = Image.new("RGB", sheet_size, GROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN_PX, 34), title, INK, _font(34, bold=True))
    pen.text((MARGIN_PX, 82), subtitle, FAINT, _font(19))
    for number, each in enumerate(matched):
        _draw_row(sheet, each, top_px=HEAD_PX + number * (CARD_HEIGHT_PX + GAP_PX))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def _draw_row(sheet: Image.Image, matched: MatchedOffer, *, top_px: int) -> None:
    pen = ImageDraw.Draw(sheet)
    left_px = MARGIN_PX
    photo = photo_path(matched.offer)
    _draw_card(sheet, (left_px, top_px), photo, fill=OFFER_CARD, edge=OFFER_CARD)
    text_top_px = top_px + PHOTO_PX + PAD_PX + 10
    pen.text((left_px + PAD_PX, text_top_px), "OFFER", FAINT, _font(13, bold=True))
    _draw_title(pen, offer_name(matched), (left_px + PAD_PX, text_top_px + LINE_PX))
    left_px += CARD_WIDTH_PX
    _draw_arrow(pen, (left_px, top_px + CARD_HEIGHT_PX // 2), RIGHT if matched.found else WRONG)
    left_px += ARROW_PX
    for rank in range(len(matched.matches)):
        _draw_match(sheet, matched, rank, (left_px, top_px))
        left_px += CARD_WIDTH_PX + GAP_PX


def _draw_match(
    sheet: Image.Image, matched: MatchedOffer, rank: int, corner: tuple[int, int]
) -> None:
    match, is_right = matched.matches[rank], matched.is_right[rank]
    # A wrong answer is only an error where it stands first.
    colour = RIGHT if is_right else (WRONG if rank == 0 else FAINT)
    edge = colour if is_right or rank == 0 else EDGE
    _draw_card(sheet, corner, matched.photos[rank], fill=CARD, edge=edge)
    pen = ImageDraw.Draw(sheet)
    left_px, top_px = corner[0] + PAD_PX, corner[1] + PHOTO_PX + PAD_PX + 8
    bar = (left_px, top_px, left_px + PHOTO_PX, top_px + BAR_PX)
    pen.rounded_rectangle(bar, BAR_PX // 2, TRACK)
    filled_px = round(PHOTO_PX * max(0.0, min(1.0, match.probability)))
    if filled_px >= BAR_PX:
        filled = (left_px, top_px, left_px + filled_px, top_px + BAR_PX)
        pen.rounded_rectangle(filled, BAR_PX // 2, colour)
    top_px += BAR_PX + 7
    pen.text((left_px, top_px), f"{match.probability:.0%}", colour, _font(20, bold=True))
    score = f"score {match.score:.2f}"
    pen.text((left_px + PHOTO_PX, top_px + 5), score, FAINT, _font(14), anchor="ra")
    title = match.product.title or match.product.product_id
    _draw_title(pen, title, (left_px, top_px + LINE_PX + 9), line_count=2)
    if is_right:
        _draw_badge(pen, "right", (corner[0] + CARD_WIDTH_PX - PAD_PX, corner[1] + PAD_PX))


def _draw_card(
    sheet: Image.Image, corner: tuple[int, int], photo: Path | None, *, fill: Colour, edge: Colour
) -> None:
    pen = ImageDraw.Draw(sheet)
    left_px, top_px = corner
    box = (left_px, top_px, left_px + CARD_WIDTH_PX, top_px + CARD_HEIGHT_PX)
    pen.rounded_rectangle(box, 14, fill, edge, width=1 if edge == EDGE else 3)
    place = (left_px + PAD_PX, top_px + PAD_PX)
    thumbnail = load_thumbnail(photo, PHOTO_PX)
    if thumbnail is None:
        centre = (place[0] + PHOTO_PX // 2, place[1] + PHOTO_PX // 2)
        pen.text(centre, "no photo", FAINT, _font(16), anchor="mm")
        return
    mask = Image.new("L", thumbnail.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, PHOTO_PX - 1, PHOTO_PX - 1), 8, 255)
    sheet.paste(thumbnail, place, mask)


def _draw_arrow(pen: ImageDraw.ImageDraw, left: tuple[int, int], colour: Colour) -> None:
    start_px, middle_px = left[0] + 12, left[1]
    tip_px = left[0] + ARROW_PX - 12
    pen.line((start_px, middle_px, tip_px - 6, middle_px), colour, 4)
    head = [(tip_px - 12, middle_px - 9), (tip_px, middle_px), (tip_px - 12, middle_px + 9)]
    pen.polygon(head, colour)


def _draw_badge(pen: ImageDraw.ImageDraw, text: str, right_top: tuple[int, int]) -> None:
    font = _font(14, bold=True)
    width_px = round(pen.textlength(text, font)) + 18
    box = (right_top[0] - width_px, right_top[1], right_top[0], right_top[1] + 26)
    pen.rounded_rectangle(box, 8, RIGHT)
    pen.text(((box[0] + box[2]) // 2, right_top[1] + 13), text, CARD, font, anchor="mm")


def _draw_title(
    pen: ImageDraw.ImageDraw, title: str, corner: tuple[int, int], *, line_count: int = 3
) -> None:
    font = _font(16)
    for number, line in enumerate(_wrap(pen, title, font, line_count)):
        pen.text((corner[0], corner[1] + number * LINE_PX), line, INK, font)


def _wrap(pen: ImageDraw.ImageDraw, text: str, font: Font, line_count: int) -> list[str]:
    """Breaks a text into lines as wide as a photo; what does not fit ends in dots."""
    lines: list[str] = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font) <= PHOTO_PX or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    is_cut = len(lines) > line_count
    lines = lines[:line_count]
    if is_cut:
        lines[-1] += " …"
    return [_cut(pen, line, font) for line in lines]


def _cut(pen: ImageDraw.ImageDraw, line: str, font: Font) -> str:
    if pen.textlength(line, font) <= PHOTO_PX:
        return line
    while line and pen.textlength(line + "…", font) > PHOTO_PX:
        line = line[:-1]
    return line.rstrip(" …") + "…"


def _font(size_px: int, *, bold: bool = False) -> Font:
    """Returns a font with Latin and Cyrillic: the one that matplotlib brings along."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
        path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name
        if path.is_file():
            return ImageFont.truetype(path, size_px)
    return ImageFont.load_default(size_px)
