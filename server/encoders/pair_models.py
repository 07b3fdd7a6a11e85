"""The seam between the services and whoever runs the models of the pair scorer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from twinshelf.server.encoders.embedding import Floats
from twinshelf.server.encoders.pair_contract import PairContract
from twinshelf.server.encoders.pair_cosines import Cosines
from twinshelf.server.errors import EncoderFailedError

FEATURES, PROBABILITY = "FEATURES", "PROBABILITY"
_FAILED: Final = "the pair scorer answered with something that is no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRecord:
    """What the scorer reads of a record.

    Attributes:
        title: Short text.
        description: Long text.
        category: Travels with the record; no feature reads it.
        brand: Brand or maker.
        price: Zero or more; None when unknown.
        attributes: Name to value.
    """

    title: str
    description: str
    category: str
    brand: str
    price: float | None
    attributes: Mapping[str, str]

    def to_json(self) -> bytes:
        """Returns it as the models receive it; attributes by name, as a message has no order."""
        texts = {
            name: getattr(self, name) for name in ("title", "description", "category", "brand")
        }
        values: dict[str, Any] = texts | {"attributes": dict(sorted(self.attributes.items()))}
        values = {name: value for name, value in values.items() if value}
        if self.price is not None:
            values["price"] = self.price
        return json.dumps(values, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two records, and the cosines of their embeddings."""

    left: PairRecord
    right: PairRecord
    cosines: Cosines


class PairModels(Protocol):
    """Turns pairs into features, and features into probabilities. Runs in one event loop."""

    @property
    def contract(self) -> PairContract:
        """The contract of the scorer that serves now.

        Raises:
            PairScorerMissingError: If none was published beside the encoder.
            EncoderContractError: If the one that is there cannot be used.
            EncoderUnavailableError: If nothing is known of it yet.
        """

    async def features(self, pairs: Sequence[Pair], contract: PairContract) -> Floats:
        """Describes up to `max_batch_size` pairs. Must not be cancelled.

        Returns:
            (B, F) features, NaN where unknown.

        Raises:
            TwinshelfError: If the models are away or fail.
        """

    async def probabilities(self, features: Floats, contract: PairContract) -> Floats:
        """Scores up to `max_batch_size` rows of features. Must not be cancelled.

        Returns:
            (B,) probabilities, 0 to 1.

        Raises:
            TwinshelfError: If the models are away or fail.
        """


def cosine_rows(pairs: Sequence[Pair], contract: PairContract) -> Floats:
    """Returns the cosines of pairs as (B, 3) or (B, 4), NaN where unknown."""
    rows = np.full((len(pairs), contract.cosine_count), np.nan, dtype=np.float32)
    for row, pair in zip(rows, pairs, strict=True):
        row[:3] = pair.cosines.image, pair.cosines.text, pair.cosines.fused
    return rows


def checked_features(rows: Any, count: int, contract: PairContract) -> Floats:
    """Returns what `pair_features` answered.

    Raises:
        EncoderFailedError: If it is not (count, F).
    """
    return _checked(rows, (count, len(contract.feature_names)))


def checked_probabilities(rows: Any, count: int) -> Floats:
    """Returns what `pair_classifier` answered, as (count,).

    Raises:
        EncoderFailedError: If it is not (count, 1) of probabilities.
    """
    found = _checked(rows, (count, 1))[:, 0]
    if not ((found >= 0) & (found <= 1)).all():
        raise EncoderFailedError(_FAILED)
    return found


def _checked(rows: Any, shape: tuple[int, int]) -> Floats:
    found = np.asarray(rows, dtype=np.float32)
    if found.shape != shape:
        raise EncoderFailedError(_FAILED)
    return found
