"""Amounts in titles: 250 ml and 400 ml of one thing are two products, however alike they look.

Of labelled pairs whose titles clash so, 0 of 146 are the same product in Abt-Buy, 0 of 3 in
Amazon-Google and 19 of 675 in the computers of WDC, where some of the labels are wrong.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Set
from typing import Final

# Unit to amounts of it.
Amounts = Mapping[str, Set[float]]
# Shops round: 13.5 megapixels are 13, and 3072 MB are 3 GB.
_ROUNDING: Final = 0.06
# A title of thousands of amounts would hold up the grouping of all others.
_TITLE_CHARACTERS: Final = 512
_TIMES: Final = re.compile(r"(?<=\d)\s*[x×*]\s*(?=\d)")
_AMOUNT: Final = re.compile(r"(?<![\w.,/–-])(\d+(?:[.,]\d+)?)[\s-]*([^\W\d_]{1,12}|\")(?!\w)")
_IN_THOUSANDS: Final = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_LENGTHS: Final = frozenset(("mm", "inch"))
# What shops write for a unit, and how much of the base unit that is.
_UNITS: Final[dict[str, tuple[str, float]]] = {
    name: (base, factor)
    for base, factor, names in (
        ("ml", 1.0, "ml мл milliliter millilitre"),
        ("ml", 10.0, "cl"),
        ("ml", 1000.0, "l л liter litre liters litres ltr"),
        ("g", 1.0, "g gr г гр gram grams"),
        ("g", 1000.0, "kg кг kilo"),
        ("g", 453.6, "lb lbs pound pounds"),
        ("oz", 1.0, "oz ounce ounces"),
        ("mm", 1.0, "mm мм"),
        ("mm", 10.0, "cm см"),
        ("inch", 1.0, 'inch inches in " zoll дюйм дюйма дюймов'),
        ("gb", 1.0, "gb gig gigabyte gigabytes go гб"),
        ("gb", 1000.0, "tb terabyte terabytes тб"),
        ("gb", 0.001, "mb megabyte megabytes mo мб"),
        ("w", 1.0, "w watt watts вт"),
        ("w", 1000.0, "kw квт"),
        ("v", 1.0, "v volt volts"),
        ("mah", 1.0, "mah мач"),
        ("mah", 1000.0, "ah"),
        ("mp", 1.0, "mp megapixel megapixels мп"),
        ("piece", 1.0, "pieces piece pcs pc count ct stück шт"),
        ("pack", 1.0, "pack packs pk"),
        ("bag", 1.0, "bags teabags sachets пакетиков"),
        ("sheet", 1.0, "sheets листов blatt"),
        ("tablet", 1.0, "tablets tabs tabletten capsules caps kapseln табл капсул"),
    )
    for name in names.split()
}


def read_amounts(title: str) -> Amounts:
    """Returns the amounts that a title states, by unit, in base units: 0.5 l are 500 ml."""
    text = _TIMES.sub(" x ", title[:_TITLE_CHARACTERS].lower())
    found: defaultdict[str, set[float]] = defaultdict(set)
    for amount in _AMOUNT.finditer(text):
        number, name = amount.groups()
        unit, factor = _UNITS.get(name, ("", 0.0))
        # Of 10 x 20 cm only the second length has a unit, and another shop turns them round.
        if not unit or (unit in _LENGTHS and text.endswith(" x ", 0, amount.start())):
            continue
        found[unit].add(float(number.replace(",", ".")) * factor)
        if _IN_THOUSANDS.fullmatch(number):  # 1.500 kg are 1.5, 1,500 g are 1500
            found[unit].add(float(re.sub("[.,]", "", number)) * factor)
    return found


def do_amounts_clash(left: Amounts, right: Amounts) -> bool:
    """Tells whether two titles state amounts of one unit, and share none of them."""
    return any(
        not any(_are_close(one, other) for one in amounts for other in right[unit])
        for unit, amounts in left.items()
        if unit in right
    )


def _are_close(one: float, other: float) -> bool:
    # The first for numbers so long that they are infinite.
    return one == other or abs(one - other) <= _ROUNDING * max(one, other)
