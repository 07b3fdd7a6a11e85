"""Embedded products drawn at random: offers near their catalogue product, some of them lone."""

from __future__ import annotations

import numpy as np

from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.retrieval.embeddings import ProductEmbeddings

DIM = 8


def near(rows: np.ndarray, noise: float, generator: np.random.Generator) -> np.ndarray:
    """Returns unit rows near others."""
    moved = rows + noise * generator.normal(size=rows.shape)
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def draw_products(
    *, product_count: int = 40, offer_count: int = 4, noise: float = 0.4, seed: int = 0
) -> tuple[EmbeddedProducts, EmbeddedProducts]:
    """Returns queries and gallery; every eighth product is not in the gallery."""
    generator = np.random.default_rng(seed)
    image, text = (near(np.zeros((product_count, DIM)), 1.0, generator) for _ in range(2))
    offers = np.repeat(np.arange(product_count), offer_count)
    listed = np.flatnonzero(np.arange(product_count) % 8 != 7)
    queries = EmbeddedProducts(
        embeddings=ProductEmbeddings(
            image=near(image[offers], noise, generator), text=near(text[offers], noise, generator)
        ),
        product_ids=tuple(f"offer {number}" for number in range(len(offers))),
        groups=tuple(f"g{product}" for product in offers),
        categories=tuple(f"c{product % 3}" for product in offers),
    )
    gallery = EmbeddedProducts(
        embeddings=ProductEmbeddings(image=image[listed], text=text[listed]),
        product_ids=tuple(f"product {product}" for product in listed),
        groups=tuple(f"g{product}" for product in listed),
        categories=tuple(f"c{product % 3}" for product in listed),
    )
    return queries, gallery


def without(products: EmbeddedProducts, modality: str, rows: slice) -> EmbeddedProducts:
    """Returns the products without the image or the text of some rows."""
    halves = {name: getattr(products.embeddings, name).copy() for name in ("image", "text")}
    halves[modality][rows] = 0
    return EmbeddedProducts(
        embeddings=ProductEmbeddings(**halves),
        product_ids=products.product_ids,
        groups=products.groups,
        categories=products.categories,
    )
