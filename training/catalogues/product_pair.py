"""The pair: two records that are the same product or not, as pair scorers learn them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinshelf.training.catalogues.product import Product

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductPair:
    """Two records, and whether they are the same product."""

    left: Product
    right: Product
    is_match: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecomputedProduct:
    """A product known by the vectors that others computed of it; they need not have unit length.

    Attributes:
        product_id: Identifier; never empty.
        name_vector: Embedding of the name, float32 (E,).
        main_picture: Embedding of the main photo, float32 (D,); None without one.
        further_pictures: Embeddings of the other photos, float32 (N, D), N zero or more.

    Raises:
        ValueError: If a shape is another, or a number is not finite.
    """

    product_id: str
    name_vector: Vectors
    main_picture: Vectors | None
    further_pictures: Vectors

    def __post_init__(self) -> None:
        if not self.product_id:
            raise ValueError("product_id must not be empty")
        _check("name_vector", self.name_vector, axis_count=1)
        _check("further_pictures", self.further_pictures, axis_count=2)
        if self.main_picture is None:
            return
        _check("main_picture", self.main_picture, axis_count=1)
        size = len(self.main_picture)
        if len(self.further_pictures) and self.further_pictures.shape[1] != size:
            raise ValueError(
                f"further_pictures must be (N, {size}), got {self.further_pictures.shape}"
            )

    @property
    def main_pictures(self) -> Vectors:
        """The main photo's embedding as a row, float32 (1, D); (0, D) without one."""
        if self.main_picture is None:
            return self.further_pictures[:0]
        return self.main_picture[None, :]

    @property
    def pictures(self) -> Vectors:
        """All photos' embeddings, the main one first, float32 (M, D)."""
        if not len(self.further_pictures):
            return self.main_pictures
        return np.vstack([self.main_pictures, self.further_pictures])


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecomputedPair:
    """Two products known by vectors, and whether they are the same product."""

    left: PrecomputedProduct
    right: PrecomputedProduct
    is_match: bool


def _check(name: str, vectors: Vectors, axis_count: int) -> None:
    if vectors.ndim != axis_count:
        raise ValueError(f"{name} must have {axis_count} axes, got shape {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
