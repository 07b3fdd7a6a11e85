"""The facets of all products in memory: category, brand, seller, price and attributes.

SQLite is their truth; here they stand column by column, so that a filter is answered for a whole
catalogue in less time than a search takes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.facets.attribute_table import AttributeTable
from twinshelf.server.catalogue.facets.growing_column import GrowingColumn
from twinshelf.server.catalogue.product_filter import (
    AllOf,
    AnyOf,
    AttributeIn,
    CategoryPath,
    CategoryUnder,
    FieldIn,
    NoneOf,
    PriceBetween,
    ProductFilter,
    category_path,
)
from twinshelf.server.catalogue.product_record import ProductRecord

FIELDS = ("category", "brand", "seller")
_LEAST_REMOVED = 65_536
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


class FieldCodes(dict[str, int]):
    """The texts of a field, numbered from 0 as they come."""

    def __missing__(self, text: str) -> int:
        self[text] = code = len(self)
        return code


class CategoryCodes(FieldCodes):
    """The categories, numbered as they come, and which of them lie below which path."""

    def __init__(self) -> None:
        """Makes an empty one."""
        self.below: dict[CategoryPath, list[int]] = {}

    def __missing__(self, category: str) -> int:
        code = super().__missing__(category)
        path = category_path(category)
        for length in range(1, len(path) + 1):
            self.below.setdefault(path[:length], []).append(code)
        return code


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """The facets of N products, by rising product number.

    Attributes:
        product_numbers: (N,) internal numbers.
        fields: The N texts of each of `FIELDS`.
        prices: The N prices; None where unknown.
        attributes: The N mappings of attributes.
    """

    product_numbers: Sequence[int]
    fields: Sequence[Sequence[str]]
    prices: Sequence[float | None]
    attributes: Sequence[Mapping[str, str]]

    @classmethod
    def of(cls, records: Mapping[int, ProductRecord]) -> Facets:
        """Takes the facets of products by their numbers."""
        rows = sorted(records.items())
        return cls(
            product_numbers=[number for number, _ in rows],
            fields=[[getattr(record, field) for _, record in rows] for field in FIELDS],
            prices=[record.price for _, record in rows],
            attributes=[record.attributes for _, record in rows],
        )


class Allowed:
    """The products that a filter allows, as they stood when it was asked.

    Attributes:
        count: How many.
        table: Where they were found.
        mask: Whether the product of each row of the table is one of them; one more, of none, at
            the end, to which all rows of later products are clipped.
    """

    def __init__(self, mask: Mask, table: FacetTable) -> None:
        """Takes what the table found."""
        self.mask = mask
        self.count = int(np.count_nonzero(mask))
        self.table = table

    def find_rows(self, product_numbers: npt.NDArray[np.int64]) -> Rows:
        """Returns the row (N,) of the table of each product; it never changes."""
        return self.table.find_rows(product_numbers)

    def without(self, mask: Mask) -> Allowed:
        """Returns these products without those of a mask (N,) over the first rows."""
        rest = self.mask.copy()
        rest[: len(mask)] &= ~mask[: len(rest)]
        return Allowed(rest, self.table)


class FacetTable:
    """Facets of all products. One thread changes it, any number ask.

    Product numbers rise, so that the table stays sorted by them while it grows at its end. A row
    is never given to another product.
    """

    def __init__(self) -> None:
        """Makes an empty table."""
        self._lock = threading.Lock()
        self._numbers = GrowingColumn(np.int64)
        self._is_living = GrowingColumn(np.bool_)
        self._prices = GrowingColumn(np.float64)
        self._categories = CategoryCodes()
        self._codes = {
            "category": self._categories,
            "brand": FieldCodes(),
            "seller": FieldCodes(),
        }
        self._columns = {field: GrowingColumn(np.int32) for field in FIELDS}
        self._attributes = AttributeTable()
        self._removed_count = 0

    def __len__(self) -> int:
        """Counts the rows, those of removed products too."""
        return len(self._numbers)

    @property
    def is_worn(self) -> bool:
        """Whether it should be read anew: most rows, or many texts, are of no product any more."""
        limit = max(_LEAST_REMOVED, len(self) // 2)
        text_count = max(map(len, self._codes.values()))
        return self._removed_count > limit or text_count > len(self) + limit

    def append(self, facets: Facets) -> None:
        """Adds products whose numbers are above all that are here."""
        with self._lock:
            self._numbers.extend(facets.product_numbers)
            self._is_living.extend(np.ones(len(facets.product_numbers), dtype=bool))
            self._prices.extend(_known(facets.prices))
            for field, texts in zip(FIELDS, facets.fields, strict=True):
                codes = self._codes[field]
                self._columns[field].extend([codes[text] for text in texts])
            self._attributes.append(facets.attributes)

    def change(self, changes: Mapping[int, ProductRecord | None]) -> None:
        """Writes products by their numbers; None removes one, if it is here."""
        numbers = np.array(sorted(changes), dtype=np.int64)
        rows = self.find_rows(numbers).tolist()
        new = {}
        with self._lock:
            for number, row in zip(numbers.tolist(), rows, strict=True):
                record = changes[number]
                if record is None:
                    if row < len(self) and self._is_living.numbers[row]:
                        self._is_living.numbers[row] = False
                        self._removed_count += 1
                elif row < len(self):
                    self._replace(row, record)
                else:
                    new[number] = record
        self.append(Facets.of(new))

    def find_rows(self, product_numbers: npt.NDArray[np.int64]) -> Rows:
        """Returns the row (N,) of each product; the largest number there is for one not here."""
        numbers = self._numbers.numbers
        rows = np.searchsorted(numbers, product_numbers)
        if len(numbers) == 0:
            return np.full(len(rows), np.iinfo(np.int64).max)
        found = numbers[np.minimum(rows, len(numbers) - 1)] == product_numbers
        return np.where(found, rows, np.iinfo(np.int64).max)

    def allow(self, condition: ProductFilter | None) -> Allowed:
        """Returns the products for which a condition holds; without one all."""
        with self._lock:
            mask = self._is_living.numbers.copy()
            if condition is not None:
                mask &= self._find(condition)
        return Allowed(np.append(mask, False), self)

    def keys(self, field: str) -> npt.NDArray[np.int64]:
        """Returns a key of the value of a field of each row (R,); 0 where it has none.

        Args:
            field: One of `FIELDS`, or the name of an attribute behind "attributes.".
        """
        with self._lock:
            if field not in FIELDS:
                return self._attributes.keys(field.partition(".")[2])
            codes = self._columns[field].numbers.astype(np.int64)
            return np.where(codes == self._codes[field].get("", -1), 0, codes + 1)

    def _replace(self, row: int, record: ProductRecord) -> None:
        for field in FIELDS:
            self._columns[field].numbers[row] = self._codes[field][getattr(record, field)]
        (self._prices.numbers[row],) = _known([record.price])
        self._attributes.replace(row, record.attributes)

    def _find(self, condition: ProductFilter) -> Mask:
        match condition:
            case AllOf():
                return reduce(np.logical_and, map(self._find, condition.filters))
            case AnyOf():
                return reduce(np.logical_or, map(self._find, condition.filters))
            case NoneOf():
                return ~reduce(np.logical_or, map(self._find, condition.filters))
            case CategoryUnder():
                below = self._categories.below
                codes = [code for path in condition.paths for code in below.get(path, ())]
                return self._find_codes("category", codes)
            case FieldIn():
                known = self._codes[condition.field]
                codes = [known[value] for value in condition.values if value in known]
                return self._find_codes(condition.field, codes)
            case PriceBetween():
                prices = self._prices.numbers
                return (prices >= condition.least) & (prices <= condition.greatest)
            case AttributeIn():
                return self._attributes.find(condition.name, condition.values)

    def _find_codes(self, field: str, codes: Sequence[int]) -> Mask:
        is_wanted = np.zeros(len(self._codes[field]), dtype=bool)
        is_wanted[list(codes)] = True
        return is_wanted.take(self._columns[field].numbers)


def _known(prices: Sequence[float | None]) -> list[float]:
    """An unknown price is not a number, which lies in no range."""
    return [np.nan if price is None else price for price in prices]
