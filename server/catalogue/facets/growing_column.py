"""A column of a table that grows at its end, as a numpy array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_FIRST_CAPACITY = 1024


class GrowingColumn:
    """Numbers of one kind. One thread appends; arrays that were handed out stay as they are."""

    def __init__(self, dtype: npt.DTypeLike) -> None:
        """Makes an empty one."""
        self._numbers: npt.NDArray[Any] = np.empty(_FIRST_CAPACITY, dtype=dtype)
        self._count = 0

    def __len__(self) -> int:
        """Counts the numbers."""
        return self._count

    @property
    def numbers(self) -> npt.NDArray[Any]:
        """The numbers (N,); to write into them changes the column."""
        return self._numbers[: self._count]

    def extend(self, numbers: npt.ArrayLike) -> None:
        """Appends numbers (M,)."""
        new = np.asarray(numbers, dtype=self._numbers.dtype)
        count = self._count + len(new)
        if count > len(self._numbers):
            grown = np.empty(max(count, 2 * len(self._numbers)), dtype=self._numbers.dtype)
            grown[: self._count] = self.numbers
            self._numbers = grown
        self._numbers[self._count : count] = new
        self._count = count

    def keep(self, is_kept: npt.NDArray[np.bool_]) -> None:
        """Drops the numbers (N,) that are not kept."""
        self._numbers = self.numbers[is_kept]
        self._count = len(self._numbers)
