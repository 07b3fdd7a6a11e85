"""The matches of an offer as a table: for pandas, and with pictures for notebooks."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from twinshelf.client.records import Match, MatchResult

_COLUMNS = (
    *("product_id", "title", "brand", "category", "seller", "price", "image_uri"),
    *("score", "probability", "is_match", "image_score", "text_score", "pair_probability"),
)
_OF_PRODUCT = frozenset(_COLUMNS[:7])
_FLOATS = ("price", "score", "probability", "image_score", "text_score", "pair_probability")
_KINDS: Mapping[str, type] = {**dict.fromkeys(_FLOATS, float), "is_match": bool}
_HEADINGS = ("", "probability", "score", "product", "brand", "seller", "price")
_PICTURE_PX = 64


def matches_frame(result: MatchResult) -> pd.DataFrame:
    """Returns a row for each match, best first, with the fields of its product."""
    frame = pd.DataFrame(map(_row, result.matches), columns=list(_COLUMNS))
    # Whatever a result holds: frames of several are joined, and one may be empty.
    return frame.astype({name: _KINDS.get(name, str) for name in _COLUMNS})


def matches_html(result: MatchResult, pictures: Mapping[str, bytes]) -> str:
    """Returns a table in HTML that asks no server for anything.

    Args:
        result: The matches.
        pictures: JPEG files by product_id; a product without one has none.
    """
    head = "".join(f"<th>{name}</th>" for name in _HEADINGS)
    rows = "".join(_html_row(match, pictures) for match in result.matches)
    caption = f"no match in the catalogue: {result.no_match_probability:.1%}"
    return f"<table><caption>{caption}</caption><tr>{head}</tr>{rows}</table>"


def _row(match: Match) -> list[object]:
    return [getattr(match.product if name in _OF_PRODUCT else match, name) for name in _COLUMNS]


def _html_row(match: Match, pictures: Mapping[str, bytes]) -> str:
    product = match.product
    picture = pictures.get(product.product_id)
    shown = (
        ""
        if picture is None
        else (
            f'<img alt="" height="{_PICTURE_PX}" '
            f'src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}">'
        )
    )
    probability = f"{match.probability:.1%}"
    cells = (
        shown,
        f"<b>{probability}</b>" if match.is_match else probability,
        f"{match.score:.3f}",
        html.escape(product.title or product.product_id),
        html.escape(product.brand),
        html.escape(product.seller),
        "" if product.price is None else f"{product.price:,.2f}",
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
