"""Amounts in titles: which are another product, and which are the same one written otherwise."""

from __future__ import annotations

import pytest

from twinshelf.server.catalogue.groups.amounts import do_amounts_clash, read_amounts


def clash(left: str, right: str) -> bool:
    one, other = read_amounts(left), read_amounts(right)
    assert do_amounts_clash(one, other) == do_amounts_clash(other, one)
    return do_amounts_clash(one, other)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Shampoo 250 ml", "Shampoo 400ml"),
        ("Milch 1,5 L", "Milch 1 l"),
        ("Кофе молотый 250 г", "Кофе молотый 1 кг"),
        ("SSD 500GB", "SSD 1 TB"),
        ('Monitor 24"', "Monitor 27-inch"),
        ("Drill 12 V 2.0 Ah", "Drill 12V 4Ah"),
        ("Vitamin C, 60 capsules", "Vitamin C 120 Capsules"),
        ("Tea 4 x 250 ml", "Tea 4 x 400 ml"),
        ("Tea 4x250ml", "Tea 4 × 400 ml"),
        ("Batteries, pack of 4, 4 pcs", "Batteries 8 pcs"),
    ],
)
def test_other_amounts_clash(left: str, right: str) -> None:
    assert clash(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Shampoo 250 ml", "Shampoo"),
        ("Shampoo 250 ml", "Shampoo 0.25 l"),
        ("Shampoo 250 ml", "Shampoo 250 g"),
        ("Coffee 1,000 g", "Coffee 1 kg"),
        ("Coffee 1.5 kg", "Coffee 1.500 kg"),
        ("Camera 13.5 MP", "Camera 13 megapixels"),
        ("RAM 3072 MB", "RAM 3 GB"),
        ("Laptop 15.6 in 8GB 512 GB", "Laptop 512GB"),
        ("Rug 10 x 20 cm", "Rug 20 x 10 cm"),
        ("Rug 80×150 cm", "Rug 150 cm x 80 cm"),
        ('Grill 22-1/2"', "Grill 22.5 inch"),
        ("Intel i7-7700 pc", "Intel i7 1 pc"),
        ("ages 3 to 5, 64 GB", "64 GB"),
        ("M2x10 gr8", "20 gr"),
        (f"{10**309} ml", f"{10**309} ml"),
        ("", ""),
    ],
)
def test_what_may_be_the_same_amount_does_not(left: str, right: str) -> None:
    assert not clash(left, right)
