"""The attributes of all products as flat arrays, so that one look finds who has a value.

Names and values are kept as hashes: values may be as many as products (a number of each), and
their texts would take more memory than the vectors. Two that share one of 64 bits would only let a
product through that is dropped when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.facets.growing_column import GrowingColumn

_GONE = -1
_LEAST_GONE = 65_536
_LOWEST_BITS = 16


class AttributeTable:
    """Name and value of each attribute of each product, by the product's row."""

    def __init__(self) -> None:
        """Makes an empty one."""
        self._names = GrowingColumn(np.int64)
        self._pairs = GrowingColumn(np.int64)
        self._rows = GrowingColumn(np.int64)
        # Of each row: where its attributes begin, and how many there are.
        self._starts = GrowingColumn(np.int64)
        self._counts = GrowingColumn(np.int32)
        self._gone_count = 0

    def append(self, attributes: Sequence[Mapping[str, str]]) -> None:
        """Adds the attributes of the next products."""
        first = len(self._starts)
        counts = np.array([len(each) for each in attributes], dtype=np.int32)
        self._starts.extend(len(self._rows) + np.cumsum(counts) - counts)
        self._counts.extend(counts)
        self._add(np.repeat(np.arange(first, first + len(counts)), counts), attributes)

    def replace(self, row: int, attributes: Mapping[str, str]) -> None:
        """Writes the attributes of a row anew."""
        start, count = int(self._starts.numbers[row]), int(self._counts.numbers[row])
        if self._pairs.numbers[start : start + count].tolist() == _hashes(attributes):
            return
        self._rows.numbers[start : start + count] = _GONE
        self._gone_count += count
        self._starts.numbers[row] = len(self._rows)
        self._counts.numbers[row] = len(attributes)
        self._add(np.full(len(attributes), row), [attributes])
        if self._gone_count > max(_LEAST_GONE, len(self._rows) // 2):
            self._drop_gone()

    def find(self, name: str, values: frozenset[str]) -> npt.NDArray[np.bool_]:
        """Tells of each row (R,) whether its attribute has one of the values, or any."""
        if values:
            places = _find_any(self._pairs.numbers, [hash((name, value)) for value in values])
        else:
            places = np.flatnonzero(self._names.numbers == hash(name))
        rows = self._rows.numbers[places]
        is_wanted = np.zeros(len(self._starts), dtype=bool)
        is_wanted[rows[rows != _GONE]] = True
        return is_wanted

    def keys(self, name: str) -> npt.NDArray[np.int64]:
        """Returns a key of the value (R,) of an attribute of each row; 0 where there is none."""
        is_named = (self._names.numbers == hash(name)) & (self._rows.numbers != _GONE)
        places = np.flatnonzero(is_named & (self._pairs.numbers != hash((name, ""))))
        keys = np.zeros(len(self._starts), dtype=np.int64)
        keys[self._rows.numbers[places]] = self._pairs.numbers[places]
        return keys

    def _add(self, rows: npt.NDArray[np.int64], attributes: Sequence[Mapping[str, str]]) -> None:
        self._rows.extend(rows)
        self._names.extend([hash(name) for each in attributes for name in each])
        self._pairs.extend([pair for each in attributes for pair in _hashes(each)])

    def _drop_gone(self) -> None:
        is_kept = self._rows.numbers != _GONE
        places = np.cumsum(is_kept) - is_kept
        starts = self._starts.numbers
        starts[:] = np.append(places, np.count_nonzero(is_kept))[starts]
        for column in (self._rows, self._names, self._pairs):
            column.keep(is_kept)
        self._gone_count = 0


def _find_any(hashes: npt.NDArray[np.int64], some: Sequence[int]) -> npt.NDArray[np.int64]:
    """Returns the places of those hashes (N,) that are among some.

    Few share their lowest bits with one: to compare all with a thousand takes thirty times as long,
    in which no product is written.
    """
    wanted = np.array(some, dtype=np.int64)
    is_wanted = np.zeros(1 << _LOWEST_BITS, dtype=bool)
    mask = len(is_wanted) - 1
    is_wanted[wanted & mask] = True
    places = np.flatnonzero(is_wanted[hashes & mask])
    return places[np.isin(hashes[places], wanted)]


def _hashes(attributes: Mapping[str, str]) -> list[int]:
    return [hash(pair) for pair in attributes.items()]
