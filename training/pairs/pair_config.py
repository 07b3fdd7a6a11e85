"""How a pair scorer is trained: the pairs it is chosen on, and its neural variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutConfig:
    """How validation pairs are drawn.

    Attributes:
        validation_share: Share of E-CUP's pairs to choose on, between 0 and 1; at most so many.
        seed: Seed of that share.
    """

    validation_share: Annotated[float, "above 0 to below 1"] = 0.1
    seed: int = 42


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEncoderConfig:
    """How the cross-encoder is fine-tuned.

    Attributes:
        epoch_count: Epochs of the neural variant.
        token_count: Tokens that it reads of both records together at most.
    """

    epoch_count: Annotated[int, "1 or more"] = 4
    token_count: Annotated[int, "8 or more"] = 64
