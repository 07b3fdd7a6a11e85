"""Identifiers of groups, which last from one grouping to the next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt


def name_groups(
    product_ids: Sequence[str],
    numbers: npt.NDArray[np.int64],
    previous: Mapping[str, str] | None = None,
) -> list[str]:
    """Names the group of each product.

    A group keeps the name that most of its members had before, if no other group holds more of
    them; a new group takes the first of its members' identifiers that is free. So names depend on
    the members alone, and not on their order.

    Args:
        product_ids: Identifiers, each once (N).
        numbers: Number of each product's group, int64 (N,).
        previous: Product to name of its group in an earlier grouping.

    Returns:
        The name of each product's group (N).
    """
    members: dict[int, list[str]] = defaultdict(list)
    for product_id, number in zip(product_ids, numbers.tolist(), strict=True):
        members[number].append(product_id)
    names = _kept_names(members, previous or {})
    taken = set(names.values()) | set((previous or {}).values())
    for number in sorted(set(members) - set(names), key=lambda number: min(members[number])):
        name = _free_name(sorted(members[number]), taken)
        names[number] = name
        taken.add(name)
    return [names[number] for number in numbers.tolist()]


def _kept_names(
    members: Mapping[int, Sequence[str]], previous: Mapping[str, str]
) -> dict[int, str]:
    """Gives each earlier name to the group that holds most of its members."""
    claims = []
    for number, products in members.items():
        counts = Counter(previous[product] for product in products if product in previous)
        claims += [(-count, name, min(products), number) for name, count in counts.items()]
    names: dict[int, str] = {}
    given: set[str] = set()
    for _, name, _, number in sorted(claims):
        if number not in names and name not in given:
            names[number] = name
            given.add(name)
    return names


def _free_name(candidates: Sequence[str], taken: set[str]) -> str:
    for candidate in candidates:
        if candidate not in taken:
            return candidate
    suffix = 2
    while f"{candidates[0]}-{suffix}" in taken:
        suffix += 1
    return f"{candidates[0]}-{suffix}"
