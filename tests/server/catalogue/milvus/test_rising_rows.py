"""Rows by rising number are those that sorting everything would give."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from twinshelf.server.catalogue.milvus.rising_rows import greatest, rows_after

pytestmark = pytest.mark.slow


class Table:
    """A collection in memory that understands a span of one number."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    def _chosen(self, condition: str) -> list[int]:
        low, high = (re.search(rf"number {sign} (\d+)", condition) for sign in (">", "<="))
        assert low is not None
        end = int(high[1]) if high else max(self.numbers, default=0)
        return [each for each in self.numbers if int(low[1]) < each <= end]

    def count(self, _: str, condition: str, *, level: object = None) -> int:
        return len(self._chosen(condition))

    def query(
        self, _: str, condition: str, fields: list[str], *, level: object = None
    ) -> list[dict[str, int]]:
        return [{"number": each} for each in self._chosen(condition)]


@pytest.mark.parametrize("count", [1, 7, 500])
def test_pages_of_rising_rows_are_the_sorted_rows(count: int) -> None:
    rng = np.random.default_rng(count)
    numbers = [int(each) for each in rng.choice(1 << 40, size=3000, replace=False)]
    # Many that were written in one moment.
    numbers += list(range(1 << 41, (1 << 41) + 1000))
    table: Any = Table([int(each) for each in rng.permutation(numbers)])
    read, after = [], 0
    while rows := rows_after(
        table, "", "number", (after, 1 << 62), count, "number > 0", ["number"]
    ):
        assert len(rows) <= count
        read += [row["number"] for row in rows]
        after = read[-1]
        if len(read) >= 12 * count:
            break
    assert read == sorted(numbers)[: len(read)]
    assert len(read) in (12 * count, len(numbers))
    assert greatest(table, "", "number", (0, 1 << 62)) == max(numbers)
    assert greatest(table, "", "number", (max(numbers), 1 << 62)) == max(numbers)
