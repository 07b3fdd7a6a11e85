"""Round packages of the generated catalogue: a flat print wrapped around a turned body, and lit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.generated_catalogue.vocabulary import Colour

Array = npt.NDArray[np.floating]
# Colours of a top and of its edge.
Lid = tuple[Colour, Colour]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundForm:
    """A round package: a turned body, and where its parts are.

    Attributes:
        width: Width of the small size in pixels.
        height: Height of the small size in pixels.
        growth: Factors of width and height of the large size.
        outline: Points (height, radius) from the top down: height 0 to 1 of the body's height,
            radius as a share of its width, 0 to 0.5.
        label: Where the label begins and ends, as shares of the height.
        cap: Where the cap ends, as a share of the height; 0 when there is none.
        body: What the body is made of: "brand" and "accent" plastic, "glass" with its content,
            or "metal".
        top: What is seen from above: "metal", "foil", "cap", "hollow" or nothing.
        tilt: How far the camera looks down: minor over major half axis of the top's ellipse.
        gloss: How strongly it mirrors the light, 0 to 1.
    """

    width: int
    height: int
    growth: tuple[float, float]
    outline: tuple[tuple[float, float], ...]
    label: tuple[float, float]
    cap: float = 0.0
    body: str = "brand"
    top: str = ""
    tilt: float
    gloss: float


def wrap_print(
    flat: Image.Image, body: RoundForm, lid: Lid | None, width: int, height: int
) -> Image.Image:
    """Wraps a flat print around a turned body and lights it from the upper left.

    Args:
        flat: RGB print of the half of the body that faces the camera: its width is half the
            circumference, its height that of the body.
        body: The body.
        lid: Its top; None when the body is closed or too narrow to show one.
        width: Width of the picture in pixels: that of the widest place of the body.
        height: Height of the body in pixels.

    Returns:
        An RGBA picture, a little higher than `height`, transparent around the body.
    """
    curve = _radii(body, height) * width
    top_px = int(curve[0] * body.tilt) + 2
    bottom_px = int(curve[-1] * body.tilt) + 2
    rows = np.arange(-top_px, height + bottom_px, dtype=np.float32)[:, None]
    across = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :]
    bulge = np.sqrt(np.clip(1 - (2 * across / width) ** 2, 0, 1))  # (1, W)
    nearest = np.clip(rows[:, 0].astype(np.int64), 0, height - 1)
    radius = np.maximum(curve[nearest], 1.0).astype(np.float32)[:, None]
    level = rows - body.tilt * radius * bulge  # (H', W): height on the body of each pixel
    turn = np.clip(across / radius, -1, 1)  # (H', W)
    pixels = _sample(flat, turn, level / height)
    pixels = pixels * _shade(turn, body.gloss)
    pixels += _glint(turn, body.gloss)
    cover = np.clip(radius - np.abs(across) + 0.5, 0, 1)
    cover *= np.clip(level + 0.5, 0, 1) * np.clip(height - level + 0.5, 0, 1)
    if lid is not None:
        _lay_lid(pixels, cover, lid, across, rows, float(curve[0]), body.tilt)
    rgba = np.dstack([np.clip(pixels, 0, 255), cover * 255]).astype(np.uint8)
    return Image.fromarray(rgba)


def _radii(body: RoundForm, height: int) -> Array:
    """Returns the radius at each row of the body, its corners rounded, as shares of the width."""
    heights, radii = zip(*body.outline, strict=True)
    curve = np.interp(np.arange(height) / (height - 1), heights, radii)
    kernel = np.hanning(max(5, height // 40))
    half = len(kernel) // 2
    padded = np.pad(curve, half, "edge")
    return np.convolve(padded, kernel / kernel.sum(), "same")[half:-half]


def _sample(flat: Image.Image, turn: Array, level: Array) -> Array:
    texture = np.asarray(flat)
    columns = (np.arcsin(turn) / np.pi + 0.5) * (flat.width - 1)
    rows = np.clip(level, 0, 1) * (flat.height - 1)
    return texture[rows.astype(np.int64), columns.astype(np.int64)].astype(np.float32)


def _shade(turn: Array, gloss: float) -> Array:
    """Returns the light that a place receives, as a factor with a third axis of 1."""
    facing = np.cos(np.arcsin(turn) + 0.45)
    edge = 1 - 0.35 * np.abs(turn) ** 6
    light: Array = (0.62 + 0.43 * np.clip(facing, 0, 1)) * edge * (1 + 0.04 * gloss)
    return light[..., None]


def _glint(turn: Array, gloss: float) -> Array:
    """Returns the mirrored lamps, 0 to 255 to be added, with a third axis of 1."""
    main = np.exp(-(((turn + 0.58) / 0.09) ** 2)) * 95
    second = np.exp(-(((turn - 0.82) / 0.06) ** 2)) * 45
    lamps: Array = (main + second) * gloss
    return lamps[..., None]


def _lay_lid(
    pixels: Array,
    cover: Array,
    lid: Lid,
    across: Array,
    rows: Array,
    radius: float,
    tilt: float,
) -> None:
    """Draws the ellipse of the top, its centre at height 0, into `pixels` and `cover`."""
    distance = np.sqrt((across / radius) ** 2 + (rows / (radius * tilt)) ** 2)
    slope = (0.9 + 0.12 * across / radius)[..., None]
    inside = distance <= 1
    face = np.where((distance > 0.9)[..., None], np.array(lid[1]), np.array(lid[0]) * slope)
    pixels[inside] = face[inside]
    np.maximum(cover, np.clip((1 - distance) * radius * tilt + 0.5, 0, 1), out=cover)
