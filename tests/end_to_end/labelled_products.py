"""Products of known category, of photo, of text and of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table

_CATEGORIES = {"Soap": ("red", "soap"), "Tea": ("green", "чай"), "Milk": ("молоко", "box")}
_WORDS = ("bar", "large", "small", "500", "x", "red", "box")


def make_labelled_products(folder: Path) -> Path:
    """Writes a table of products; a fifth of them look like another category than they are."""
    generator = np.random.default_rng(5)
    titles: set[str] = set()
    folder.mkdir()

    def draw(number: int) -> Product:
        """Draws a product unlike all others, as equal ones have no order of their own."""
        looks, other = generator.permutation(len(_CATEGORIES))[:2].tolist()
        title = ""
        while not title or title in titles:
            names = list(_CATEGORIES.values())[looks]
            title = " ".join([*names, *names, *generator.permutation(_WORDS)[:3]])
        titles.add(title)
        pixels = generator.integers(0, 60, (24, 40, 3), np.uint8)
        pixels[..., looks] += 190
        file = folder / f"{number}.png"
        Image.fromarray(pixels).save(file)
        return Product(
            product_id=f"labelled {number}",
            title=title if number % 3 else "",
            images=(file,) if number % 3 != 1 else (),
            category=list(_CATEGORIES)[other if generator.random() < 0.2 else looks],
        )

    write_table(folder / "products.parquet", [draw(number) for number in range(120)])
    return folder / "products.parquet"
