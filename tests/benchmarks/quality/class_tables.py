"""Turns prepared tables into tables whose groups are the categories, to learn and predict them.

Run: python -m tests.benchmarks.quality.class_tables --tables FOLDER --out FOLDER

All rows of the prepared tables are split anew, by category: a share of each is held out. Rows of
one product group stay on one side, so that no held-out row has its twin among those learnt from.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from twinshelf.training.catalogues.prepare import TABLES
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import MatchingData
from twinshelf.training.catalogues.splits import split_within_groups
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.evaluation.embedded_products import read_products

HELD_OUT_SHARE = 0.2
# The rest of the rows learnt from are offers, from which training draws its validation.
OFFER_SHARE = 0.3


def split_by_category(products: Sequence[Product], seed: int) -> MatchingData:
    """Splits products by category; rows without one are left out.

    A category of a single product group is learnt from only. Queries are the held-out rows; the
    gallery is a part of the rows learnt from, and a search may use all of them.

    Args:
        products: Rows in any order; the choice depends on their identifiers.
        seed: Seed of the choice.

    Raises:
        ValueError: If fewer than two categories are known, or none can be held out.
    """
    known = [product for product in products if product.category]
    count = len({product.category for product in known})
    if count < 2:
        raise ValueError(f"tables of categories need two or more of them, got {count}")
    held_out = _draw_held_out(known, seed)
    if not held_out:
        raise ValueError("every category has a single product group: none can be held out")
    classed = [replace(product, group=product.category) for product in known]
    train = [product for product in classed if product.product_id not in held_out]
    gallery, _ = split_within_groups(train, OFFER_SHARE, seed)
    queries = tuple(product for product in classed if product.product_id in held_out)
    return MatchingData(train=tuple(train), queries=queries, gallery=gallery, bad_rows=())


def _draw_held_out(products: Iterable[Product], seed: int) -> frozenset[str]:
    """Returns the identifiers of the rows to hold out."""
    by_category: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for product in products:
        key = f"group {product.group}" if product.group else f"product {product.product_id}"
        by_category[product.category][key].append(product.product_id)
    held_out: set[str] = set()
    for category, groups in sorted(by_category.items()):
        wanted = HELD_OUT_SHARE * sum(len(members) for members in groups.values())
        order = random.Random(f"{seed} {category}").sample(sorted(groups), len(groups))
        taken = 0
        for group in order[:-1]:
            if taken >= wanted:
                break
            held_out.update(groups[group])
            taken += len(groups[group])
    return frozenset(held_out)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the tables as the command line says; returns 0, or 1 when it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.quality.class_tables",
        description="Split prepared tables anew, with the category as the group.",
    )
    parser.add_argument("--tables", type=Path, required=True, help="folder that `make data` wrote")
    parser.add_argument("--out", type=Path, required=True, help="target folder")
    parser.add_argument("--seed", type=int, default=42, help="seed (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        paths = [options.tables / f"{name}.parquet" for name in TABLES]
        data = split_by_category(read_products(paths, []), options.seed)
        options.out.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            write_table(options.out / f"{name}.parquet", getattr(data, name))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(
        f"{len(data.train)} rows of {len({row.group for row in data.train})} categories to train "
        f"on, {len(data.queries)} held out in {options.out}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
