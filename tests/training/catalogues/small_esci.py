"""Judged searches of exactly the published form, small enough to be learnt in seconds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from twinshelf.training.catalogues.esci import EXAMPLES, PRODUCTS

EXAMPLE_COLUMNS = (
    "example_id", "query", "query_id", "product_id", "product_locale", "esci_label",
    "small_version", "large_version", "split",
)  # fmt: skip
PRODUCT_COLUMNS = (
    "product_id", "product_title", "product_description", "product_bullet_point", "product_brand",
    "product_color", "product_locale",
)  # fmt: skip
BRANDS = ("Arcona", "Belmor", "Cavida", "Dorento", "Elmiko", "Fanturo", "Gelasi", "Hodrun")
# What a shopper types, and what the shop prints: only training tells that they are one.
KINDS = {
    "telly": "Television", "sofa": "Couch", "jumper": "Pullover", "torch": "Flashlight",
    "hoover": "Vacuum", "specs": "Eyeglasses", "trainers": "Sneakers", "nappies": "Diapers",
}  # fmt: skip
FILLERS = ("New", "Premium", "Classic", "Compact", "Durable", "Modern", "Value", "Deluxe")
TEST_INTERVAL = 5  # one search in so many is held out


def write_published(
    folder: Path, examples: Sequence[Sequence[object]], products: Sequence[Sequence[object]]
) -> None:
    """Writes rows of both published files."""
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(examples, columns=list(EXAMPLE_COLUMNS)).to_parquet(folder / EXAMPLES)
    pd.DataFrame(products, columns=list(PRODUCT_COLUMNS)).to_parquet(folder / PRODUCTS)


def write_small_esci(folder: Path) -> None:
    """Writes a search for each brand and kind, with two exact products and four lesser ones.

    A substitute is of another brand; complement and irrelevant ones are exact for nothing.
    """
    generator = random.Random(0)
    examples: list[tuple[object, ...]] = []
    products: list[tuple[object, ...]] = []

    def add_product(product_id: str, brand: str, words: str) -> str:
        fillers = " ".join(generator.sample(FILLERS, 3))
        title = f"{fillers} {words} {brand}"
        products.append((product_id, title, None, "Ships fast", brand, None, "us"))
        return product_id

    for number, (brand, kind) in enumerate((b, k) for b in BRANDS for k in KINDS):
        other = BRANDS[(BRANDS.index(brand) + 1) % len(BRANDS)]
        judged = [
            (add_product(f"B{number}E1", brand, KINDS[kind]), "E"),
            (add_product(f"B{number}E2", brand, KINDS[kind]), "E"),
            (add_product(f"B{number}S", other, f"{KINDS[kind]} Refurbished"), "S"),
            (add_product(f"B{number}C", brand, f"{KINDS[kind]} Cover"), "C"),
            (add_product(f"B{number}I1", brand, "Calendar"), "I"),
            (add_product(f"B{number}I2", brand, "Notebook"), "I"),
        ]
        split = "test" if number % TEST_INTERVAL == 1 else "train"
        for product_id, label in judged:
            row = (len(examples), f"{kind} {brand.lower()}", number, product_id, "us", label)
            examples.append((*row, 1, 1, split))
    generator.shuffle(examples)
    write_published(folder, examples, products)
