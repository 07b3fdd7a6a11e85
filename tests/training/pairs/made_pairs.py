"""Pairs of made products: a rule that features can see, in Ditto's form where files are needed."""

from __future__ import annotations

import random
from pathlib import Path

from twinshelf.training.catalogues.product import Pair, Product

MAKERS = ("sony", "canon", "nikon", "bosch", "philips")
KINDS = ("camera", "drill", "printer", "phone", "kettle")


def make_pairs(count: int, seed: int) -> list[Pair[Product]]:
    """Returns pairs of which about a third match: same maker and same code."""
    generator = random.Random(seed)
    pairs = []
    for number in range(count):
        maker, kind = generator.choice(MAKERS), generator.choice(KINDS)
        code = f"{generator.choice('abcd')}{generator.randint(100, 999)}"
        is_match = generator.random() < 0.35
        other = code if is_match else f"{generator.choice('efgh')}{generator.randint(100, 999)}"
        pairs.append(
            Pair(
                left=Product(
                    product_id=f"l{number}",
                    title=f"{maker} {kind} dsc-{code}",
                    price=float(generator.randint(10, 99)),
                ),
                right=Product(
                    product_id=f"r{number}", title=f"{maker} dsc{other} {kind} black", brand=maker
                ),
                is_match=is_match,
            )
        )
    return pairs


def write_pairs(path: Path, pairs: list[Pair[Product]]) -> None:
    """Writes pairs in Ditto's form."""
    lines = [
        f"COL title VAL {p.left.title} COL price VAL {p.left.price}\t"
        f"COL title VAL {p.right.title} COL brand VAL {p.right.brand}\t{int(p.is_match)}\n"
        for p in pairs
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), "utf-8")
