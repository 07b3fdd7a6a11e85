"""Photo and text: which of them a thing has, and how much each counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

# Less would be lost in the float32 of a query.
_SMALLEST_SHARE = 1e-30


class Pattern(IntEnum):
    """Which modalities are there. The numbers are stored and equal those of the protos."""

    NONE = 0
    IMAGE = 1
    TEXT = 2
    BOTH = 3

    @classmethod
    def of(cls, *, image: bool, text: bool) -> Pattern:
        """Returns the pattern of what is there."""
        return cls((cls.IMAGE if image else 0) | (cls.TEXT if text else 0))

    @property
    def has_image(self) -> bool:
        """Whether the photo is there."""
        return bool(self & Pattern.IMAGE)

    @property
    def has_text(self) -> bool:
        """Whether the text is there."""
        return bool(self & Pattern.TEXT)

    @property
    def key(self) -> str:
        """Name: image, text or both."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much photo and text count in a score.

    Attributes:
        image: Zero or more.
        text: Zero or more; the two are not both zero.

    Raises:
        ValueError: If a weight is negative or not finite, or both are zero.
    """

    image: float
    text: float

    def __post_init__(self) -> None:
        """Checks the values."""
        for name, value in (("image", self.image), ("text", self.text)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"the weight of the {name} must be zero or more, got {value}")
        if self.image == 0 and self.text == 0:
            raise ValueError("one of the two weights must be more than zero, both are zero")

    def restricted_to(self, pattern: Pattern) -> Weights:
        """Drops what is missing or counts next to nothing, and lets the rest sum to one.

        Raises:
            ValueError: If nothing is left.
        """
        image = self.image if pattern.has_image else 0.0
        text = self.text if pattern.has_text else 0.0
        if image == 0 and text == 0:
            raise ValueError(
                f"the weights leave nothing to match by: there is only the {pattern.key}, "
                "and its weight is zero"
            )
        # Scaled by the larger first: the sum of two large weights could overflow.
        larger = max(image, text)
        image, text = image / larger, text / larger
        image = image if image >= _SMALLEST_SHARE else 0.0
        text = text if text >= _SMALLEST_SHARE else 0.0
        return Weights(image=image / (image + text), text=text / (image + text))

    @property
    def pattern(self) -> Pattern:
        """The modalities that count at all."""
        return Pattern.of(image=self.image > 0, text=self.text > 0)
