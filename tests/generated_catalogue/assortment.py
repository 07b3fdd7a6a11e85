"""The assortment of the generated catalogue: families of products that differ in one thing only."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.generated_catalogue.vocabulary import (
    BRANDS,
    KINDS,
    LINES,
    VARIANTS,
    Colour,
    Department,
    Kind,
    Size,
    Variant,
)

MARKS = ("disc", "ring", "diamond", "shield", "crown", "sun", "hexagon", "bars", "moon", "peak")
ORNAMENTS = (
    "plain", "stripes", "dots", "waves", "zigzag", "rays", "checks", "rings", "hills", "sprigs",
)  # fmt: skip
LAYOUTS = ("band", "split", "frame", "diagonal", "arch", "ribbon")
FONTS = ("DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSans-BoldOblique", "DejaVuSerif-BoldItalic")
BRAND_COLOURS: tuple[Colour, ...] = (
    (200, 25, 40), (20, 60, 140), (15, 110, 70), (245, 160, 10), (110, 35, 120), (20, 20, 25),
    (0, 140, 160), (225, 75, 20), (120, 75, 40), (235, 60, 130), (90, 130, 30), (60, 90, 120),
)  # fmt: skip
ACCENTS: tuple[Colour, ...] = (
    (255, 255, 255), (250, 240, 215), (255, 225, 90), (225, 240, 250), (35, 40, 60), (190, 150, 70),
    (225, 235, 205), (250, 215, 220),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """A maker, with what makes its packages its own.

    Attributes:
        name: Name as printed.
        russian: Name as Russian sellers transliterate it.
        colour: House colour.
        mark: Name of its logo mark.
        font: Name of its font file without the ending.
        language: "en" or "ru": what it prints on packages.
    """

    name: str
    russian: str
    colour: Colour
    mark: str
    font: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What all packages of one family have in common.

    Attributes:
        form: Package, a key of the forms in `packaging`.
        layout: Where the label's colours and texts go.
        ornament: Pattern of the ground.
        accent: Third colour beside those of brand and variant.
        cap: Colour of caps and lids.
    """

    form: str
    layout: str
    ornament: str
    accent: Colour
    cap: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One product of the assortment: the truth that offers show and describe.

    Attributes:
        number: Position in the catalogue, from 0.
        brand: Its maker.
        kind: Its kind of goods.
        line: Name of the product line.
        variant: Flavour, scent or colour.
        size: Amount.
        size_rank: 0 for the smaller package of the kind, 1 for the larger.
        design: Look of its family.
        price: Maker's price.
    """

    number: int
    brand: Brand
    kind: Kind
    line: str
    variant: Variant
    size: Size
    size_rank: int
    design: Design
    price: float

    @property
    def group(self) -> str:
        """Name of the group that all of its rows are of."""
        return f"g{self.number:05d}"


def assemble_assortment(product_count: int, seed: int) -> list[Item]:
    """Makes distinct products in families of near-duplicates.

    A family shares brand, line and design, and differs in variant and size; about a third of the
    families have a twin: the same goods in the same design by another brand.

    Args:
        product_count: How many products, 1 or more.
        seed: Equal seeds give equal products.

    Raises:
        ValueError: If fewer than `product_count` distinct products can be made.
    """
    rng = random.Random(f"assortment {seed}")
    brands = _make_brands(rng)
    members = itertools.islice(_all_items(brands, rng), product_count)
    items = [replace(item, number=number) for number, item in enumerate(members)]
    if len(items) < product_count:
        raise ValueError(f"product_count must be at most {len(items)}, got {product_count}")
    return items


def _make_brands(rng: random.Random) -> dict[Department, list[Brand]]:
    brands: dict[Department, list[Brand]] = {}
    for department, names in BRANDS.items():
        colours = rng.sample(BRAND_COLOURS, len(BRAND_COLOURS))
        marks = rng.sample(MARKS, len(MARKS))
        brands[department] = [
            Brand(
                name=name,
                russian=russian,
                colour=colours[i % len(colours)],
                mark=marks[i % len(marks)],
                font=rng.choice(FONTS),
                language="ru" if rng.random() < 0.25 else "en",
            )
            for i, (name, russian) in enumerate(names)
        ]
    return brands


def _all_items(brands: dict[Department, list[Brand]], rng: random.Random) -> Iterator[Item]:
    """Yields families until every kind, brand and line has been combined once."""
    decks = []
    for kind in KINDS:
        deck = [(brand, line) for line in LINES for brand in brands[kind.department]]
        rng.shuffle(deck)
        decks.append((kind, deck))
    while any(deck for _, deck in decks):
        for kind, deck in rng.sample(decks, len(decks)):
            if deck:
                yield from _family_and_twin(kind, deck, rng)


def _family_and_twin(
    kind: Kind, deck: list[tuple[Brand, str]], rng: random.Random
) -> Iterator[Item]:
    brand, line = deck.pop()
    variants = rng.sample(kind.variants, rng.randint(2, min(4, len(kind.variants))))
    ranks = rng.choice(((0,), (1,), (0, 1)))
    design = Design(
        form=rng.choice(kind.forms),
        layout=rng.choice(LAYOUTS),
        ornament=rng.choice(ORNAMENTS),
        accent=rng.choice(ACCENTS),
        cap=rng.choice((*ACCENTS, brand.colour)),
    )
    members = [(VARIANTS[variant], rank) for variant in variants for rank in ranks]
    yield from (_item(brand, kind, line, design, *member) for member in members)
    if rng.random() < 0.35:
        rivals = [entry for entry in deck if entry[1] == line and entry[0].colour != brand.colour]
        if rivals:
            deck.remove(rivals[0])
            twin = rivals[0][0]
            yield from (_item(twin, kind, line, design, *member) for member in members[:2])


def _item(brand: Brand, kind: Kind, line: str, design: Design, variant: Variant, rank: int) -> Item:
    factor = (1.0 if rank == 0 else 1.7) * (0.8 + len(brand.name) % 5 / 10)
    return Item(
        number=0,
        brand=brand,
        kind=kind,
        line=line,
        variant=variant,
        size=kind.sizes[rank],
        size_rank=rank,
        design=design,
        price=round(kind.price * factor, 2),
    )
