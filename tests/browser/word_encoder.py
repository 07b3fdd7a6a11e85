"""An encoder without models whose embeddings of like texts, and of like colours, are alike."""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image

from tests.server.catalogue.groups.planted import contract_of
from tests.server.fake_encoder import FakeEncoder, hashed_row
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import TwinshelfError

DIMENSION = 64


class WordEncoder(FakeEncoder):
    """Embeds a text as the sum of the words of its title, and a photo by its colours."""

    def __init__(self) -> None:
        super().__init__(contract_of(DIMENSION))

    def embed(self, row: EncoderInput) -> OfferEmbedding | TwinshelfError:
        """Embeds one row."""
        text = (row.text or "").removeprefix("query: ").removeprefix("passage: ")
        words = re.findall(r"\w+", text.partition(" | ")[0].casefold())
        return OfferEmbedding(
            image=_colours(row.image) if row.image else None,
            text=_unit(np.sum([hashed_row(word.encode(), DIMENSION) for word in words], axis=0))
            if words
            else None,
        )


def _colours(photo: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(photo)) as image:
        pixels = np.asarray(image.convert("RGB").resize((2, 2)), np.float32)  # (2, 2, 3)
    row = np.zeros(DIMENSION, np.float32)
    row[: pixels.size] = pixels.ravel() - 127.0
    return _unit(row)


def _unit(row: np.ndarray) -> np.ndarray:
    return np.asarray(row / np.linalg.norm(row), np.float32)
