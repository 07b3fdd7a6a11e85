"""The rows of grouped products, remembered while one server holds the groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Final

from twinshelf.server.catalogue.milvus.group_reader import MilvusGroupReader
from twinshelf.server.catalogue.milvus.group_rows import GroupedProduct, grouped_key
from twinshelf.server.catalogue.milvus.product_rows import product_key

_KEYS_AT_ONCE: Final = 1024
# All are forgotten at once.
_REMEMBERED_COUNT: Final = 100_000


class GroupedRows:
    """Reads rows once; nobody else may change them meanwhile."""

    def __init__(self, reader: MilvusGroupReader) -> None:
        """Takes the reader."""
        self._reader = reader
        self._rows: dict[int, GroupedProduct | None] = {}

    def get(self, product: int) -> GroupedProduct | None:
        """Returns the row of a product; None without one."""
        if product not in self._rows:
            self.fetch([product])
        return self._rows[product]

    def fetch(self, products: Iterable[int]) -> None:
        """Reads the rows of products that are not known yet, many at once."""
        numbers = sorted(set(products) - self._rows.keys())
        for start in range(0, len(numbers), _KEYS_AT_ONCE):
            block = numbers[start : start + _KEYS_AT_ONCE]
            keys = ", ".join(f'"{grouped_key(each)}"' for each in block)
            self._rows |= dict.fromkeys(block)
            self._rows |= {each.number: each for each in self._reader.grouped(f"key in [{keys}]")}

    def by_key(self, keys: Iterable[str]) -> dict[str, list[GroupedProduct]]:
        """Returns the rows of products by their keys, those from before a deletion as well."""
        block = ", ".join(f'"{key}"' for key in keys)
        found: dict[str, list[GroupedProduct]] = {}
        for each in self._reader.grouped(f"product_key in [{block}]") if block else []:
            found.setdefault(product_key(each.product_id), []).append(each)
        return found

    def learn(self, rows: Mapping[int, GroupedProduct], gone: Set[int]) -> None:
        """Takes over what was written."""
        if len(self._rows) > _REMEMBERED_COUNT:
            self.forget()
        self._rows |= {**rows, **dict.fromkeys(gone)}

    def forget(self) -> None:
        """Forgets all, as another server may have changed them."""
        self._rows = {}
