"""Photos of the generated catalogue: a package in a studio or at a seller's."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tests.generated_catalogue.flat_packages import perspective
from tests.generated_catalogue.marks import BLACK, WHITE, mixed
from tests.generated_catalogue.printed_labels import load_font, write_in
from tests.generated_catalogue.vocabulary import Colour

Size = tuple[int, int]
FRAMES: tuple[Size, ...] = (
    (320, 320), (300, 400), (288, 384), (400, 300), (360, 270), (256, 340), (280, 420), (340, 340),
    (420, 320), (384, 288),
)  # fmt: skip
SOFT: tuple[Colour, ...] = (
    (232, 225, 215), (205, 220, 230), (235, 215, 215), (215, 228, 210), (225, 215, 235),
    (240, 232, 200),
)  # fmt: skip


def shoot_studio(package: Image.Image) -> Image.Image:
    """Makes the maker's photo: the package straight and whole on white, with a soft shadow."""
    frame = (400, 400) if package.width > package.height * 0.9 else (330, 440)
    scale = min(frame[0] * 0.86 / package.width, frame[1] * 0.88 / package.height)
    cutout = _scaled(package, scale)
    photo = Image.new("RGB", frame, WHITE)
    spot = (frame[0] - cutout.width) // 2, (frame[1] - cutout.height) // 2
    _cast_shadow(photo, cutout, spot, 0.35)
    photo.paste(cutout, spot, cutout)
    return photo


def shoot_offer(package: Image.Image, seller: str, mark: str, rng: random.Random) -> Image.Image:
    """Makes a seller's photo of a package.

    Args:
        package: RGBA cut-out.
        seller: Name that marks on the photo show.
        mark: Key of `SELLER_MARKS`, or "none".
        rng: Source of scene, camera and light.

    Returns:
        An RGB photo with sides of 256 to 420 pixels.
    """
    frame = rng.choice(FRAMES)
    photo = rng.choice(BACKGROUNDS)(frame, rng)
    cutout = _posed(package, frame, rng)
    room = frame[0] - cutout.width, frame[1] - cutout.height
    left = int(room[0] * rng.uniform(0.3, 0.7))
    spot = left, int(room[1] * (rng.uniform(0.45, 0.85) if room[1] > 0 else rng.uniform(0.2, 0.8)))
    _cast_shadow(photo, cutout, spot, rng.uniform(0.3, 0.6))
    photo.paste(cutout, spot, cutout)
    photo = _developed(photo, rng)
    if mark != "none":
        SELLER_MARKS[mark](photo, seller, rng)
    return photo


def _scaled(package: Image.Image, scale: float) -> Image.Image:
    size = max(1, int(package.width * scale)), max(1, int(package.height * scale))
    return package.resize(size, Image.Resampling.BICUBIC)


def _posed(package: Image.Image, frame: Size, rng: random.Random) -> Image.Image:
    """Scales, leans and rotates a package: it fills 66 to 104 per cent of the frame."""
    fill = rng.uniform(0.66, 1.04)
    cutout = _scaled(package, fill * min(frame[0] / package.width, frame[1] / package.height))
    wide, high = cutout.size
    angle = rng.gauss(0, 5) if rng.random() < 0.9 else rng.uniform(-25, 25)
    turn = np.deg2rad(angle)
    lean, near, shear = rng.uniform(-0.05, 0.05), rng.uniform(-0.06, 0.06), rng.uniform(-0.05, 0.05)
    corners = []
    for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x = wide / 2 * u * (1 + near * v) + shear * high * v / 2
        y = high / 2 * v * (1 + lean * u)
        corners.append((x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)))
    left, top = min(x for x, _ in corners) - 1, min(y for _, y in corners) - 1
    size = int(max(x for x, _ in corners) - left + 2), int(max(y for _, y in corners) - top + 2)
    moved = [(float(x - left), float(y - top)) for x, y in corners]
    coefficients = perspective(moved, cutout.size)
    method, filtering = Image.Transform.PERSPECTIVE, Image.Resampling.BILINEAR
    return cutout.convert("RGBa").transform(size, method, coefficients, filtering).convert("RGBA")


def _cast_shadow(
    photo: Image.Image, cutout: Image.Image, spot: tuple[int, int], depth: float
) -> None:
    """Darkens the ground around the foot of a package."""
    small = photo.width // 4, photo.height // 4
    shade = Image.new("L", small, 0)
    left, foot = spot[0] / 4, (spot[1] + cutout.height) / 4
    wide = cutout.width / 4
    ends = (left - wide * 0.02, foot - wide * 0.12, left + wide * 1.12, foot + wide * 0.07)
    ImageDraw.Draw(shade).ellipse(ends, fill=int(255 * depth))
    soft = shade.filter(ImageFilter.GaussianBlur(2.5))
    photo.paste((25, 22, 30), (0, 0), soft.resize(photo.size, Image.Resampling.BILINEAR))


def _developed(photo: Image.Image, rng: random.Random) -> Image.Image:
    """Applies the camera: white balance, exposure, contrast, focus and noise."""
    exposure, contrast = rng.uniform(0.8, 1.14), rng.uniform(0.84, 1.1)
    warmth, tint = rng.uniform(-0.07, 0.07), rng.uniform(-0.025, 0.025)
    table: list[int] = []
    for gain in (1 + warmth, 1 + tint, 1 - warmth):
        values = ((np.arange(256) - 128) * contrast + 128) * exposure * gain
        table += [int(v) for v in np.clip(values, 0, 255)]
    photo = photo.point(table)
    if rng.random() < 0.45:
        photo = photo.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
    if rng.random() < 0.4:
        noise = np.random.default_rng(rng.getrandbits(32)).integers(
            -14, 15, (photo.height, photo.width, 1), np.int16
        )
        noisy = np.asarray(photo, np.int16) + (noise * rng.uniform(0.3, 1.0)).astype(np.int16)
        photo = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    return photo


def _white(frame: Size, rng: random.Random) -> Image.Image:
    level = rng.randint(238, 255)
    return Image.new("RGB", frame, (level, level, level))


def _gradient(frame: Size, rng: random.Random) -> Image.Image:
    upper = rng.choice(SOFT)
    lower = mixed(upper, rng.choice((BLACK, WHITE)), rng.uniform(0.15, 0.4))
    strip = Image.new("RGB", (1, 2))
    strip.putdata([upper, lower])
    return strip.resize(frame, Image.Resampling.BILINEAR)


def _planks(photo: Image.Image, top: int, rng: random.Random) -> None:
    """Covers a photo from `top` down with wooden planks."""
    wood = rng.choice(((176, 132, 88), (205, 170, 125), (120, 84, 58), (222, 205, 182)))
    draw = ImageDraw.Draw(photo)
    high = max(14, (photo.height - top) // rng.randint(3, 6))
    for y in range(top, photo.height, high):
        plank = mixed(wood, BLACK if rng.random() < 0.5 else WHITE, rng.uniform(0, 0.12))
        draw.rectangle((0, y, photo.width, y + high), fill=plank)
        for _ in range(6):
            grain = y + rng.randrange(high)
            start = rng.randrange(photo.width)
            ends = (start, grain, start + rng.randint(30, 200), grain + rng.randint(-2, 2))
            draw.line(ends, fill=mixed(plank, BLACK, 0.12))
        draw.line((0, y, photo.width, y), fill=mixed(wood, BLACK, 0.45), width=2)


def _wood(frame: Size, rng: random.Random) -> Image.Image:
    photo = Image.new("RGB", frame)
    _planks(photo, 0, rng)
    return photo


def _table(frame: Size, rng: random.Random) -> Image.Image:
    photo = _gradient(frame, rng)
    _planks(photo, int(frame[1] * rng.uniform(0.62, 0.8)), rng)
    return photo


def _shelf(frame: Size, rng: random.Random) -> Image.Image:
    """A shop's shelf: boards, price tags and other goods out of focus."""
    small = frame[0] // 4, frame[1] // 4
    photo = Image.new("RGB", small, (225, 224, 220))
    draw = ImageDraw.Draw(photo)
    for foot in (int(small[1] * 0.42), int(small[1] * 0.93)):
        x = -3
        while x < small[0]:
            wide, high = rng.randint(9, 18), rng.randint(int(small[1] * 0.18), int(small[1] * 0.36))
            colour = tuple(rng.randint(60, 225) for _ in range(3))
            draw.rectangle((x, foot - high, x + wide, foot), fill=colour)
            tag = (x + 2, foot - high * 0.7, x + wide - 2, foot - high * 0.35)
            draw.rectangle(tag, fill=(235, 230, 220))
            x += wide + rng.randint(1, 3)
        draw.rectangle((0, foot, small[0], foot + 4), fill=(165, 165, 168))
        draw.rectangle((8, foot, 20, foot + 3), fill=(250, 245, 120))
    photo = photo.filter(ImageFilter.GaussianBlur(1.6)).resize(frame, Image.Resampling.BICUBIC)
    return Image.blend(photo, Image.new("RGB", frame, (240, 238, 235)), 0.35)


def _tiles(frame: Size, rng: random.Random) -> Image.Image:
    ground = rng.choice(SOFT)
    photo = Image.new("RGB", frame, ground)
    draw = ImageDraw.Draw(photo)
    step = rng.randint(40, 80)
    for x in range(rng.randrange(step), frame[0], step):
        draw.line((x, 0, x, frame[1]), fill=mixed(ground, BLACK, 0.16), width=2)
    for y in range(rng.randrange(step), frame[1], step):
        draw.line((0, y, frame[0], y), fill=mixed(ground, BLACK, 0.16), width=2)
    return photo


BACKGROUNDS: tuple[Callable[[Size, random.Random], Image.Image], ...] = (
    _white, _white, _gradient, _gradient, _wood, _table, _table, _shelf, _tiles,
)  # fmt: skip


def _watermark(photo: Image.Image, seller: str, rng: random.Random) -> None:
    layer = Image.new("L", photo.size, 0)
    font = load_font("DejaVuSans-Bold", photo.width // 9)
    place = photo.width / 2, photo.height * rng.uniform(0.3, 0.7)
    ImageDraw.Draw(layer).text(place, seller, fill=95, font=font, anchor="mm")
    colour = WHITE if rng.random() < 0.5 else (90, 90, 95)
    photo.paste(colour, (0, 0), layer.rotate(rng.uniform(15, 35)))


def _badge(photo: Image.Image, seller: str, rng: random.Random) -> None:
    del seller
    radius = photo.width * rng.uniform(0.09, 0.13)
    x, y = rng.choice((radius * 1.1, photo.width - radius * 1.1)), radius * 1.1
    draw = ImageDraw.Draw(photo)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(220, 20, 45))
    text = rng.choice(("-20%", "SALE", "ХИТ", "NEW", "-35%"))
    box = (x - radius * 0.8, y - radius / 2, x + radius * 0.8, y + radius / 2)
    write_in(draw, text, box, WHITE)


def _border(photo: Image.Image, seller: str, rng: random.Random) -> None:
    colour, edge = (245, 120, 20) if len(seller) % 2 else (30, 110, 200), rng.randint(6, 11)
    box = (0, 0, photo.width - 1, photo.height - 1)
    ImageDraw.Draw(photo).rectangle(box, outline=colour, width=edge)


def _strip(photo: Image.Image, seller: str, rng: random.Random) -> None:
    top = photo.height - int(photo.height * rng.uniform(0.07, 0.1))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((0, top, photo.width, photo.height), fill=(40, 45, 60))
    write_in(draw, seller, (10, top, photo.width - 10, photo.height), WHITE)


SELLER_MARKS: dict[str, Callable[[Image.Image, str, random.Random], None]] = {
    "watermark": _watermark,
    "badge": _badge,
    "border": _border,
    "strip": _strip,
}
