"""Embeddings of products: a unit row per modality, zeros where the modality is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

PATTERNS = ("image", "text", "both")  # what of a product is compared
UNIT_TOLERANCE = 1e-2  # half-precision towers leave rows this far from unit length


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProductEmbeddings:
    """Embeddings of N products, one array per modality; a row of zeros is a missing modality.

    Attributes:
        image: Unit or zero rows, float32 (N, D_image).
        text: Unit or zero rows, float32 (N, D_text).

    Raises:
        ValueError: If the shapes do not fit, or a row is neither finite of unit length nor zero.
    """

    image: Floats
    text: Floats

    def __post_init__(self) -> None:
        if self.image.ndim != 2 or self.text.ndim != 2 or len(self.image) != len(self.text):
            raise ValueError(
                "embeddings must be (N, D) with one N for both modalities, "
                f"got image {self.image.shape} and text {self.text.shape}"
            )
        _check_rows("image", self.image)
        _check_rows("text", self.text)

    def __len__(self) -> int:
        return len(self.image)

    @property
    def presence(self) -> npt.NDArray[np.bool_]:
        """Whether a product has its image and its text, bool (N, 2)."""
        return np.stack([self.image.any(axis=1), self.text.any(axis=1)], axis=1)

    def rows(self, selection: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> ProductEmbeddings:
        """Returns the selected products."""
        return ProductEmbeddings(image=self.image[selection], text=self.text[selection])

    def joined(self, *, image: float, text: float) -> Floats:
        """Returns the halves side by side, each times its factor, float32 (N, D).

        A half whose factor is 0 is left out.
        """
        halves = [
            half * factor for half, factor in ((self.image, image), (self.text, text)) if factor
        ]
        return np.ascontiguousarray(np.concatenate(halves, axis=1, dtype=np.float32))

    def fused(self, image_weight: float) -> Floats:
        """Returns rows whose inner product is the score, where both have all that is weighted.

        They are [√w·image ; √(1 - w)·text], float32 (N, D).

        Args:
            image_weight: Weight of the image in the score, 0 to 1.
        """
        return self.joined(image=math.sqrt(image_weight), text=math.sqrt(1 - image_weight))


def _check_rows(name: str, rows: Floats) -> None:
    lengths = np.linalg.norm(rows, axis=1)
    wrong = ~((np.abs(lengths - 1) <= UNIT_TOLERANCE) | (lengths == 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        found = "NaN or infinity" if not np.isfinite(lengths[row]) else f"length {lengths[row]:.4g}"
        raise ValueError(
            f"{name} embeddings must be unit rows, or zeros where the modality is missing: "
            f"row {row} has {found} ({int(wrong.sum())} such rows)"
        )
