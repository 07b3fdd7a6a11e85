"""Draws the catalogue of the demo: a table of products, and their photos beside it.

python -m tests.generated_catalogue --out .cache/data/generated
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tests.generated_catalogue.generator import generate_catalogue
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.command_line import run_command

TABLE = "products.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Draws and words a catalogue of near-duplicates, for work without a network.

    Attributes:
        out: Folder of the table, products.parquet, and of the photos.
        product_count: Products.
        offers_per_product: Rows of each product, its maker's included.
        seed: Equal seeds give equal catalogues.
    """

    out: Path
    product_count: Annotated[int, "1 or more"] = 300
    offers_per_product: Annotated[int, "1 or more"] = 8
    seed: int = 42


def draw(drawing: Drawing) -> None:
    """Writes the table and the photos.

    Raises:
        ValueError: If so many different products cannot be made.
    """
    rows = generate_catalogue(
        drawing.out,
        product_count=drawing.product_count,
        offers_per_product=drawing.offers_per_product,
        seed=drawing.seed,
    )
    write_table(drawing.out / TABLE, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws as the command line says; returns the exit status."""
    return run_command(Drawing, "tests.generated_catalogue", draw, arguments)


if __name__ == "__main__":
    sys.exit(main())
