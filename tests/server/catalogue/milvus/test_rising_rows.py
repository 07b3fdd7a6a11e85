"""Rows by rising number are those that sorting everything would give."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from twinshelf.server.catalogue.milvus.connection import MOST_ROWS
from twinshelf.server.catalogue.milvus.rising_rows import greatest, rows_after
from twinshelf.server.errors import CatalogueUnavailableError

pytestmark = pytest.mark.slow


class Table:
    """A collection in memory that understands a span of one number."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers
        self.counted: list[object] = []

    def _chosen(self, condition: str) -> list[int]:
        low, high = (re.search(rf"number {sign} (\d+)", condition) for sign in (">", "<="))
        assert low is not None
        end = int(high[1]) if high else max(self.numbers, default=0)
        return [each for each in self.numbers if int(low[1]) < each <= end]

    def count(self, _: str, condition: str, *, level: object = None) -> int:
        self.counted.append(level)
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


def test_a_page_takes_few_counts_and_only_its_rows_are_waited_for() -> None:
    now = 1 << 60
    # Written within an hour, long ago.
    numbers = range(now - (1 << 52), now - (1 << 52) + (1 << 40), 1 << 20)
    table: Any = Table(list(numbers))
    after, page_count = 0, 9
    for _ in range(page_count):
        rows = rows_after(
            table, "", "number", (after, now), 32, "number > 0", ["number"], level="Strong"
        )
        after = rows[-1]["number"]
    assert after == numbers[32 * page_count - 1]
    assert set(table.counted) == {None}
    assert len(table.counted) <= 20 * page_count


def test_rows_are_read_on_where_those_that_were_counted_have_moved() -> None:
    class Moving(Table):
        """Counts from a moment ago, when the low numbers were there."""

        def count(self, _: str, condition: str, *, level: object = None) -> int:
            return len(self._chosen(condition)) + len(Table(list(range(1, 500)))._chosen(condition))

    table: Any = Moving(list(range(10_000, 20_000)))
    rows = rows_after(table, "", "number", (0, 1 << 20), 3, "number > 0", ["number"])
    assert [row["number"] for row in rows] == [10_000, 10_001, 10_002]


def test_more_rows_than_were_counted_are_no_page() -> None:
    class Partial(Table):
        """A query node that has not read all: it counts few, and finds as many as it may."""

        def count(self, _: str, condition: str, *, level: object = None) -> int:
            return 5

        def query(self, *values: Any, level: object = None) -> list[dict[str, int]]:
            return super().query(*values)[-MOST_ROWS:]

    table: Any = Partial(list(range(1, 2 * MOST_ROWS)))
    with pytest.raises(CatalogueUnavailableError, match="counts fewer"):
        rows_after(table, "", "number", (0, 1 << 20), 3, "number > 0", ["number"])
