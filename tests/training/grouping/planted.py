"""A catalogue with planted groups: members near their group's centre in both modalities."""

from __future__ import annotations

import numpy as np

from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.retrieval.calibration import Calibration, Curve
from twinshelf.training.retrieval.embeddings import ProductEmbeddings

DIM = 24
CURVE = Curve(scores=(0.5, 0.95), probabilities=(0.0, 1.0))
CALIBRATION = Calibration(
    curves=dict.fromkeys(("image", "text", "both"), CURVE),
    thresholds=dict.fromkeys(("image", "text", "both"), 0.8),
)


def plant(sizes: list[int], *, noise: float = 0.05, seed: int = 0) -> EmbeddedProducts:
    """Returns products in groups of the given sizes, shuffled."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    generator.shuffle(groups)
    halves = []
    for _ in range(2):
        centres = _unit(generator.normal(size=(len(sizes), DIM)))
        halves.append(_unit(centres[groups] + noise * generator.normal(size=(len(groups), DIM))))
    return EmbeddedProducts(
        embeddings=ProductEmbeddings(image=halves[0], text=halves[1]),
        product_ids=tuple(f"p{row:03}" for row in range(len(groups))),
        groups=tuple(f"g{group}" for group in groups),
        categories=("",) * len(groups),
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
