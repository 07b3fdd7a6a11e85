"""From a query to a page on Milvus: near vectors, exact scores, the ranked best, their products.

Rows of vectors may lie there that no product names: a batch may be on its way, or was cut off.
They are told by their versions when the products of the best are read, and ranked without.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.hit_page import fill_page
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import (
    LOGICAL_BITS,
    MOST_ROWS,
    MilvusConnection,
)
from twinshelf.server.catalogue.milvus.facet_tokens import (
    expression_without,
    filter_expression,
    value_of,
)
from twinshelf.server.catalogue.milvus.product_rows import (
    PRODUCT,
    MadeVectors,
    ProductRow,
    product_key,
)
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.product_record import StoredProduct
from twinshelf.server.catalogue.ranking import (
    Candidates,
    FilterPlan,
    HitPage,
    Query,
    Ranked,
    Ranking,
    full_values,
    rank,
)
from twinshelf.server.encoders.embedding import query_vector, score_products
from twinshelf.server.encoders.modalities import Pattern

# A limit of hits of a value may need further searches; with so many the answer may be short.
_MORE_SEARCHES: Final = 8
# Photos of one product may fill a list; the next one is so many times as long.
_LONGER: Final = 4
_FIELDS: Final = ("product_key", "number", "version", "vector")
# Versions that a product no longer names are an answer from a moment before, if they are so young.
_RECENT: Final = 10_000 << LOGICAL_BITS
_TRIES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """N rows of vectors of one pattern near a query.

    Attributes:
        pattern: Modalities that the products have.
        product_keys: (N,) keys of the products.
        numbers: (N,) their numbers.
        versions: (N,) versions of the vectors.
        vectors: (N, D).
    """

    pattern: Pattern
    product_keys: list[str]
    numbers: npt.NDArray[np.int64]
    versions: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float16]

    def take(self, is_kept: npt.NDArray[np.bool_]) -> Near:
        """Returns the chosen rows (N,)."""
        return Near(
            pattern=self.pattern,
            product_keys=[k for k, kept in zip(self.product_keys, is_kept, strict=True) if kept],
            numbers=self.numbers[is_kept],
            versions=self.versions[is_kept],
            vectors=self.vectors[is_kept],
        )


class MilvusSearch:
    """Searches; safe to use from any thread."""

    def __init__(
        self, connection: MilvusConnection, collections: Collections, stored: StoredRows
    ) -> None:
        """Takes the parts."""
        self._connection = connection
        self._collections = collections
        self._stored = stored

    def search(self, query: Query, patterns: Sequence[Pattern]) -> HitPage:
        """Returns the products most alike an offer, best first, scored exactly, cut to a page.

        Args:
            query: What is looked for.
            patterns: Those of which there are products.
        """
        return _Search(self, query, patterns).page()

    def near(
        self,
        query: Query,
        vector: npt.NDArray[np.float32],
        patterns: Sequence[Pattern],
        condition: str,
        count: int,
    ) -> list[Near]:
        """Returns the vectors nearest to a query, of each pattern that shares a modality with it.

        Args:
            query: What is looked for.
            vector: (D,) its vector.
            patterns: Those of which there are products.
            condition: What else must hold; empty for nothing.
            count: Products of each pattern.
        """
        made_number = self._stored.state.made_number(query.contract.digest)
        collection = self._collections.vectors(made_number)
        found = []
        for pattern in patterns:
            if not pattern & query.weights.pattern:
                continue
            expression = f"pattern == {pattern:d}" + (f" and {condition}" if condition else "")
            near = self._near_of(
                collection, vector, pattern, expression, count, is_filtered=bool(condition)
            )
            if near is not None:
                found.append(near)
        return found

    def _near_of(
        self,
        collection: str,
        vector: npt.NDArray[np.float32],
        pattern: Pattern,
        expression: str,
        count: int,
        *,
        is_filtered: bool,
    ) -> Near | None:
        limit = min(count, MOST_ROWS)
        while True:
            (rows,) = self._connection.search(
                collection,
                [vector.tolist()],
                expression,
                _FIELDS,
                limit=limit,
                params=self._collections.search_params(limit, is_filtered=is_filtered),
            )
            product_count = len({row["number"] for row in rows})
            if len(rows) < limit or product_count >= count or limit == MOST_ROWS:
                break
            limit = min(_LONGER * limit, MOST_ROWS)
        if not rows:
            return None
        return Near(
            pattern=pattern,
            product_keys=[row["product_key"] for row in rows],
            numbers=np.array([row["number"] for row in rows], dtype=np.int64),
            versions=np.array([row["version"] for row in rows], dtype=np.int64),
            vectors=self._collections.from_vectors([row["vector"] for row in rows]),
        )

    def count_allowed(self, condition: str) -> int:
        """Counts the products that a filter allows."""
        return self._connection.count(
            self._collections.products, f"kind == {PRODUCT} and ({condition})"
        )

    def rows(self, keys: Sequence[str]) -> dict[str, ProductRow]:
        """Returns the rows of products by their keys."""
        return self._stored.rows(keys)

    def made_number(self, digest: str) -> int:
        """Returns what stands for the vectors of an encoder now."""
        return self._stored.state.made_number(digest)


@dataclass(slots=True)
class _Search:
    """One query on its way."""

    engine: MilvusSearch
    query: Query
    patterns: Sequence[Pattern]
    near: list[Near] = field(default_factory=list)
    # Number and version of vectors that no product names.
    rejected: set[tuple[int, int]] = field(default_factory=set)
    # Numbers of products of several versions, of which those that no row names were rejected.
    settled: set[int] = field(default_factory=set)
    rows: dict[str, ProductRow] = field(default_factory=dict)

    def page(self) -> HitPage:
        """Returns the page."""
        query = self.query
        vector = query_vector(query.embedding, query.weights, query.contract)
        condition = "" if query.condition is None else f"({filter_expression(query.condition)})"
        plan_count = self.engine.count_allowed(condition) if condition else 0
        if query.excluded_ids:
            keys = ", ".join(f'"{product_key(each)}"' for each in query.excluded_ids)
            condition += (" and " if condition else "") + f"product_key not in [{keys}]"
        count = query.candidate_count
        self.near = self.engine.near(query, vector, self.patterns, condition, count)
        found_count = len({n for near in self.near for n in near.numbers.tolist()})
        plan = None
        if query.condition is not None:
            plan = FilterPlan(is_exact=found_count >= plan_count, allowed_count=plan_count)
        for _ in range(_TRIES):
            rejected_count = len(self.rejected)
            start_s = time.perf_counter()
            ranking = self._rank(vector, condition)
            rescore_s = time.perf_counter() - start_s
            page = fill_page(ranking, query, self._read, rescore_s=rescore_s, plan=plan)
            if len(self.rejected) == rejected_count:
                break
        return page

    def _rank(self, vector: npt.NDArray[np.float32], condition: str) -> Ranking:
        query = self.query
        self._settle()
        chosen = _newest(self.near, self.rejected)
        if query.value_limit is None:
            (ranking,) = rank([self._score(near, None) for near in chosen], [query])
            return ranking
        values = _Values(query.value_limit.field)
        candidates = [self._score(near, self._keys(values, near)) for near in chosen]
        (ranking,) = rank(candidates, [query])
        for _ in range(_MORE_SEARCHES):
            full = values.texts(full_values(candidates, query.value_limit)) if candidates else []
            if ranking.count == query.match_count or not full:
                break
            # What has all the hits that it may have is left out, and makes room for others.
            without = expression_without(query.value_limit.field, full)
            more = self.engine.near(
                query,
                vector,
                self.patterns,
                f"{condition} and {without}" if condition else without,
                query.candidate_count,
            )
            self.near += more
            self._settle()
            chosen = _newest(self.near, self.rejected)
            candidates = [self._score(near, self._keys(values, near)) for near in chosen]
            previous_count, (ranking,) = ranking.count, rank(candidates, [query])
            if ranking.count == previous_count:
                break
        return ranking

    def _score(self, near: Near, keys: npt.NDArray[np.int64] | None) -> Candidates:
        query = self.query
        only = np.zeros(len(near.numbers), dtype=np.int64)
        scores = score_products(
            [(query.embedding, query.weights)], only, near.vectors, near.pattern, query.contract
        )
        return Candidates(
            query_numbers=only,
            product_numbers=near.numbers,
            scores=scores,
            pattern=near.pattern,
            value_keys=keys,
        )

    def _keys(self, values: _Values, near: Near) -> npt.NDArray[np.int64]:
        missing = list({key for key in near.product_keys if key not in self.rows})
        self.rows |= self.engine.rows(missing) if missing else {}
        return np.array(
            [values.key(self.rows.get(key)) for key in near.product_keys], dtype=np.int64
        )

    def _settle(self) -> None:
        """Rejects versions that no row names, of products that were found in several.

        The newest may be of a write that was cut off or undone, and so unlike the query that the
        product would not be among those that are read.
        """
        keys: dict[int, str] = {}
        versions: dict[int, set[int]] = defaultdict(set)
        for near in self.near:
            numbers = near.numbers.tolist()
            keys |= dict(zip(numbers, near.product_keys, strict=True))
            for number, version in zip(numbers, near.versions.tolist(), strict=True):
                versions[number].add(version)
        several = {n for n, found in versions.items() if len(found) > 1} - self.settled
        if not several:
            return
        self.settled |= several
        rows = self.engine.rows([keys[number] for number in several])
        for number in several:
            self._reject(number, self._made(number, rows.get(keys[number])))

    def _made(self, number: int, row: ProductRow | None) -> MadeVectors | None:
        """Returns what the encoder made of a product, by its row; None where it is no such one."""
        if row is None or row.number != number:
            return None
        return row.vectors.get(self.engine.made_number(self.query.contract.digest))

    def _read(self, block: Sequence[Ranked]) -> dict[int, StoredProduct]:
        """Returns products, without those whose candidates turn out to be of no product."""
        near = _newest(self.near, self.rejected)
        keys: dict[int, str] = {}
        versions: dict[int, int] = {}
        for each in near:
            numbers = each.numbers.tolist()
            keys |= dict(zip(numbers, each.product_keys, strict=True))
            versions |= dict(zip(numbers, each.versions.tolist(), strict=True))
        digest = self.query.contract.digest
        rows = self.engine.rows([keys[item.product_number] for item in block])
        products = {}
        for item in block:
            number = item.product_number
            row = rows.get(keys[number])
            made = self._made(number, row)
            if row is None or made is None or not _is_named(versions[number], made.version):
                self._reject(number, made)
                continue
            products[number] = StoredProduct(
                record=row.record,
                pattern=item.product_pattern,
                digest=digest,
                update_time_us=row.update_time_us,
            )
        return products

    def _reject(self, number: int, made: MadeVectors | None) -> None:
        """Rejects all that is not of a product: a write that is cut off again leaves some more."""
        versions = {v for near in self.near for v in near.versions[near.numbers == number].tolist()}
        self.rejected |= {
            (number, version)
            for version in versions
            if made is None or not _is_named(version, made.version)
        }


class _Values:
    """The values that a limit counts, numbered from 1 as they come; 0 stands for none."""

    def __init__(self, field_name: str) -> None:
        self._field = field_name
        self._keys: dict[str, int] = {}

    def key(self, row: ProductRow | None) -> int:
        value = "" if row is None else value_of(row.record, self._field)
        return self._keys.setdefault(value, len(self._keys) + 1) if value else 0

    def texts(self, keys: npt.NDArray[np.int64]) -> list[str]:
        wanted = set(keys.tolist())
        return [text for text, key in self._keys.items() if key in wanted]


def _newest(near: Sequence[Near], rejected: set[tuple[int, int]]) -> list[Near]:
    """Returns the rows of the newest version of each product, of those that are not rejected."""
    newest: dict[int, int] = {}
    for each in near:
        for number, version in zip(each.numbers.tolist(), each.versions.tolist(), strict=True):
            if (number, version) not in rejected:
                newest[number] = max(version, newest.get(number, version))
    chosen = []
    for each in near:
        pairs = zip(each.numbers.tolist(), each.versions.tolist(), strict=True)
        is_kept = np.array([newest.get(number) == version for number, version in pairs])
        if is_kept.any():
            chosen.append(each if is_kept.all() else each.take(is_kept))
    return chosen


def _is_named(version: int, named: int) -> bool:
    """Tells whether a version of a vector is the one that a product names, or was until just now.

    Both are timestamps; the age of the newer one says for how long it has been named.
    """
    if version == named:
        return True
    age = (int(time.time() * 1000) << LOGICAL_BITS) - named
    return version < named and age < _RECENT
