"""What embedding an offer or a product costs, told from its size before anything is decoded.

1 is about ten milliseconds of one core with small towers: a short text, or a photo of a few hundred
thousand pixels. Only ratios matter; how fast the machine is, admission measures.
"""

from __future__ import annotations

import io
from typing import Final

import imagesize

from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.services.embedding.admission import HEAVY_COST

_CHARACTERS_PER_COST: Final = 128
# About as many characters fill the longest token bucket; what is cut off costs no more.
_LONGEST_TEXT: Final = 512
_COST_PER_MATCH: Final = 0.02
_COST_PER_PAIR: Final = 0.06
# A JPEG is decoded at a fraction of its size, the other formats whole.
_JPEG: Final = b"\xff\xd8\xff"
_COST_PER_MEGAPIXEL: Final = {_JPEG: 0.25, b"\x89PNG": 2.0, b"RIFF": 2.0}
# A JPEG's size stands behind any number of parts. A camera writes some dozens, of four reads each.
_HEADER_READS: Final = 1024


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
    start = next((each for each in _COST_PER_MEGAPIXEL if photo.startswith(each)), None)
    if start is None:
        return 0.0
    try:
        width, height = imagesize.get(_PhotoHeader(photo), exif_rotation=False)
    except Exception:  # a broken header
        width, height = 0, 0
    megapixels = max(0, width) * max(0, height) / 1e6
    # What decodes a JPEG may find a size where we did not; the others are refused unread then.
    if not megapixels and start == _JPEG:
        return HEAVY_COST
    return float(megapixels * _COST_PER_MEGAPIXEL[start])


class _PhotoHeader(io.BytesIO):
    """A photo that ends after so many reads: the event loop waits while its header is read."""

    _reads_left = _HEADER_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads_left -= 1
        return super().read(size) if self._reads_left >= 0 else b""
