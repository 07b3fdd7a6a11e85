"""An encoder without models: every photo and text has an embedding of its own, made by hashing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from tests.server.fake_pair_models import FakePairModels
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import EncoderUnavailableError, InvalidRequestError, TwinshelfError

# One number for every weight of the photo: an even chance of a match at a score of 0.5.
MATCH_MODEL: dict[str, object] = {
    "image_weight": 0.5,
    "steepness": 4.0,
    "even_score": 0.5,
    "sharpness": 20.0,
    "rivalry": 1.0,
    "thresholds": [[0.5, 0.9]],
}
MATCH_PROBABILITY: dict[str, object] = {
    "match_prior": 0.5,
    "list_length": 50,
    "score_ceiling": 1.02,
    "priors": [0.5],
    "targets": [0.5, 0.9],
    "models": [MATCH_MODEL],
}
# A vote of three; nothing is known to be right more often than nine times of ten.
CATEGORY_CURVE: dict[str, object] = {
    "neighbour_count": 3,
    "margins": [0.0, 1.0],
    "probabilities": [0.2, 0.9],
    "targets": [0.5, 0.9],
    "thresholds": [0.4, 1.000001],
}
BROKEN_IMAGE = b"not an image"
UNKNOWN_TEXT = "日本語"


def digest_of(name: str) -> str:
    """Makes a digest that differs by name."""
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def contract_json(name: str = "first", version: int = 1, **changes: object) -> str:
    """Makes the JSON of a contract, as export stamps it."""
    values: dict[str, object] = {
        "contract_version": 3,
        "encoder_version": version,
        "digest": digest_of(name),
        "image_dim": 16,
        "text_dim": 16,
        "embedding_dim": 32,
        "fusion_weight": 0.3,
        "max_batch_size": 32,
        "preprocessing": {
            "text_fields": ["title", "brand", "category", "description", "attributes"],
            "text_separator": " | ",
            "query_prefix": "query: ",
            "passage_prefix": "passage: ",
        },
        "match_probability": MATCH_PROBABILITY,
    }
    return json.dumps(values | changes)


def make_contract(name: str = "first", version: int = 1, **changes: object) -> EncoderContract:
    """Makes a contract of small dimensions."""
    return EncoderContract.from_json(contract_json(name, version, **changes))


def hashed_row(data: bytes, dimension: int) -> np.ndarray:
    """Returns the (D,) unit row that belongs to some bytes, the same in every process."""
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
    row = np.random.default_rng(seed).normal(size=dimension).astype(np.float32)
    return row / np.linalg.norm(row)


def as_read(text: str) -> str:
    """Returns a joined text as the preprocessing that travels with a model would read it."""
    return text.translate({0x1C: "", 0x1D: " | ", 0x1E: ", ", 0x1F: ": "})


class FakeEncoder:
    """Embeds by hashing. The prefixes of offers and products are left out, so that equals match."""

    def __init__(self, contract: EncoderContract | None = None) -> None:
        self.current = contract or make_contract()
        self.is_away = False
        self.in_flight = 0
        self.most_in_flight = 0
        self.texts: list[str | None] = []
        self.gate: object = None
        self.pairs = FakePairModels()

    @property
    def contract(self) -> EncoderContract:
        if self.is_away:
            raise EncoderUnavailableError("the encoder is away; repeat the request")
        return self.current

    async def refresh(self) -> EncoderContract:
        return self.contract

    async def statistics(self) -> None:
        return None

    async def close(self) -> None:
        pass

    async def encode(
        self, inputs: Sequence[EncoderInput], contract: EncoderContract
    ) -> list[OfferEmbedding | TwinshelfError]:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.gate is not None:
                await self.gate(inputs)  # type: ignore[operator]
            return [self.embed(row) for row in inputs]
        finally:
            self.in_flight -= 1

    def embed(self, row: EncoderInput) -> OfferEmbedding | TwinshelfError:
        """Embeds one row."""
        text = row.text and as_read(row.text)
        self.texts.append(text)
        if row.image == BROKEN_IMAGE:
            return InvalidRequestError("image must be a JPEG, PNG or WebP file", field="image")
        text = text and text.removeprefix("query: ").removeprefix("passage: ")
        if text == UNKNOWN_TEXT and not row.image:
            return InvalidRequestError("text must hold words that the encoder knows", field="text")
        if text == "crash":
            raise RuntimeError("a secret of the inside")
        return OfferEmbedding(
            image=hashed_row(row.image, self.current.image_dimension) if row.image else None,
            # An empty text is one, as for real encoders: that of the canary.
            text=None if text is None else hashed_row(text.encode(), self.current.text_dimension),
        )
