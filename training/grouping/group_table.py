"""The table of groups, as Parquet: one row per product; its names last to the next grouping.

Columns: `product_id`; `group_id`; `group_size`, members with itself; `weakest_probability`,
probability of the weakest edge that was kept in the group, and `estimated_precision`, share of the
group's edges that should be right: both empty for a product that is alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from twinshelf.training.files import atomic_write
from twinshelf.training.grouping.components import Groups

SCHEMA = pa.schema(
    [
        ("product_id", pa.string()),
        ("group_id", pa.string()),
        ("group_size", pa.int32()),
        ("weakest_probability", pa.float32()),
        ("estimated_precision", pa.float32()),
    ]
)


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
        candidates = sorted(members[number])
        numbered = (f"{candidates[0]}-{suffix}" for suffix in count(2))
        names[number] = next(name for name in chain(candidates, numbered) if name not in taken)
        taken.add(names[number])
    return [names[number] for number in numbers.tolist()]


def write_groups(
    path: Path, product_ids: Sequence[str], group_ids: Sequence[str], groups: Groups
) -> None:
    """Writes the table, whole or not at all; groups come together, the largest first.

    Args:
        path: Target, ending in .parquet; its folder is made.
        product_ids: Identifiers (N).
        group_ids: Name of each product's group (N).
        groups: The groups.
    """
    sizes = groups.sizes.tolist()
    order = sorted(
        range(len(product_ids)), key=lambda row: (-sizes[row], group_ids[row], product_ids[row])
    )
    is_alone = groups.sizes[order] == 1
    table = pa.table(
        {
            "product_id": [product_ids[row] for row in order],
            "group_id": [group_ids[row] for row in order],
            "group_size": [sizes[row] for row in order],
            "weakest_probability": pa.array(groups.weakest[order], mask=is_alone),
            "estimated_precision": pa.array(groups.precision[order], mask=is_alone),
        },
        schema=SCHEMA,
    )
    with atomic_write(path) as partial:
        pq.write_table(table, partial)


def read_group_ids(path: Path) -> dict[str, str]:
    """Reads which group each product was in.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no table of groups at {path}")
    try:
        columns = pq.read_table(path, columns=["product_id", "group_id"]).to_pydict()
        rows = zip(columns["product_id"], columns["group_id"], strict=True)
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(f"{path} is no table of groups: {error!r}") from error
    return {str(product): str(group) for product, group in rows}


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
