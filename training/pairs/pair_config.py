"""How a pair scorer is trained: the pairs it is chosen on, and its neural variant."""

from __future__ import annotations

from dataclasses import dataclass

from twinshelf.training.command_line import check_ranges, no_option


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutConfig:
    """How validation pairs are drawn.

    Attributes:
        validation_share: Share of E-CUP's pairs to choose on, between 0 and 1; at most so many.
        seed: Seed of that share.

    Raises:
        ValueError: If the share is out of range.
    """

    validation_share: float = 0.1
    seed: int = 42

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1:
            raise ValueError(
                f"validation_share must be between 0 and 1, got {self.validation_share}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEncoderConfig:
    """How the cross-encoder is fine-tuned.

    Attributes:
        epoch_count: Epochs of the neural variant.
        batch_size: Pairs a step.
        token_count: Tokens that it reads of both records together at most.
        learning_rate: Peak rate; rises over a tenth of the steps, then falls to 0.
        match_weight: Weight of a match in the loss against one of a non-match.
        seed: Seed of order, sides and dropout.

    Raises:
        ValueError: If a value is out of range.
    """

    epoch_count: int = 4
    batch_size: int = no_option(32)
    token_count: int = 64
    learning_rate: float = no_option(5e-5)
    match_weight: float = no_option(3.0)
    seed: int = no_option(42)

    def __post_init__(self) -> None:
        check_ranges(self, epoch_count="1 or more", batch_size="1 or more", token_count="8 or more")
        check_ranges(self, learning_rate="above 0", match_weight="above 0")
