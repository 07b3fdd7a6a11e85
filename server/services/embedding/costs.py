"""What embedding an offer or a product costs, told from its size before anything is decoded.

1 is about ten milliseconds of one core with small towers: a short text, or a photo of a few hundred
thousand pixels. Only ratios matter; how fast the machine is, admission measures.
"""

from __future__ import annotations

import io
from typing import Final

import imagesize

from twinshelf.server.encoders.encoder import EncoderInput

_CHARACTERS_PER_COST: Final = 128
# About as many characters fill the longest token bucket; what is cut off costs no more.
_LONGEST_TEXT: Final = 512
_COST_PER_MATCH: Final = 0.02
_COST_PER_PAIR: Final = 0.06
# A JPEG is decoded at a fraction of its size, the other formats whole.
_COST_PER_MEGAPIXEL: Final = {b"\xff\xd8\xff": 0.25, b"\x89PNG": 2.0, b"RIFF": 2.0}


def search_cost(match_count: int) -> float:
    """Returns what finding, scoring and reading so many matches costs."""
    return match_count * _COST_PER_MATCH


def pair_cost(pair_count: int) -> float:
    """Returns what describing and scoring so many pairs costs, 1 or more."""
    return 1 + pair_count * _COST_PER_PAIR


def embedding_cost(row: EncoderInput) -> float:
    """Returns the cost of a row, 1 or more."""
    cost = 0.0
    if row.text is not None:
        cost += 1 + min(len(row.text), _LONGEST_TEXT) / _CHARACTERS_PER_COST
    if row.image is not None:
        cost += 1 + _decoding_cost(row.image)
    return cost


def _decoding_cost(photo: bytes) -> float:
    """The cost of the pixels that a photo's header declares; 0 for what is no photo."""
    cost_per_megapixel = next(
        (cost for start, cost in _COST_PER_MEGAPIXEL.items() if photo.startswith(start)), None
    )
    if cost_per_megapixel is None:
        return 0.0
    try:
        width, height = imagesize.get(io.BytesIO(photo), exif_rotation=False)
    except Exception:  # a broken header: it will be refused before anything is decoded
        return 0.0
    return float(max(0, width) * max(0, height) / 1e6 * cost_per_megapixel)
