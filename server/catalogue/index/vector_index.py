"""Nearest neighbours among the vectors of one modality pattern: segments and a delta.

Products of different patterns stand in different indexes. Within one, all vectors have the same
length and share the same modalities with a query, so that the inner product ranks exactly as the
renormalised score does; in one mixed index, products without a photo would sink below the cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.facets.facet_table import Allowed
from twinshelf.server.catalogue.index.graph import IndexConfig, Rows, search_exactly
from twinshelf.server.catalogue.index.nearest import find_nearest
from twinshelf.server.catalogue.index.segment import ALIVE, Delta, Part, Segment
from twinshelf.server.catalogue.product_record import VectorTable, is_further


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """N vectors near a query.

    Attributes:
        product_numbers: (N,) internal numbers; a product may come twice.
        vectors: (N, D) stored vectors.
        is_exact: Whether every vector was looked at that could be one of them.
        is_further: (N,) whether a vector is of a photo after the first; None where none can be.
    """

    product_numbers: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float16]
    is_exact: bool
    is_further: npt.NDArray[np.bool_] | None = None


class VectorIndex:
    """Vectors of one length, found by inner product. One thread changes it, any number search."""

    def __init__(self, dimension: int, config: IndexConfig) -> None:
        """Makes an empty index."""
        self._dimension = dimension
        self._config = config
        self._delta = Delta(dimension, config)
        # One attribute, so that a search never sees a part that has moved twice, or not at all.
        self._parts: tuple[Part, ...] = (self._delta,)

    def __len__(self) -> int:
        """Counts the vectors that a search can return."""
        return sum(part.living_count for part in self._parts)

    @property
    def is_empty(self) -> bool:
        """Whether no search can find a vector, not even one that has just died."""
        return not any(len(part.vectors) for part in self._parts)

    def add(self, table: VectorTable) -> None:
        """Adds vectors that were not added before.

        Raises:
            ValueError: If a vector is not finite, or of another length.
        """
        if table.vectors.shape[1:] != (self._dimension,):
            raise ValueError(f"vectors must be (N, {self._dimension}), got {table.vectors.shape}")
        if not np.isfinite(table.vectors).all():
            raise ValueError("vectors must be finite")
        self._delta.add(table)

    def find_missing(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tells of keys (N,) which are not here, neither living nor dead."""
        missing = np.ones(len(keys), dtype=bool)
        for part in self._parts:
            missing &= part.find(keys) < 0
        return missing

    def append(self, segment: Segment) -> None:
        """Puts a segment before the delta, behind all others."""
        self._parts = (*self._parts[:-1], segment, self._delta)

    def retire(self, keys: npt.NDArray[np.int64], change: int) -> None:
        """Lets the vectors of some keys die with a change; missing and dead ones are passed over.

        Args:
            keys: (N,) keys, none twice.
            change: Number of the change; searches that began before it still see them.
        """
        for part in self._parts:
            rows = part.find(keys)
            rows = rows[rows >= 0]
            rows = rows[part.dead_since[rows] == ALIVE]
            if len(rows):
                part.dead_since[rows] = change
                part.dead_count += len(rows)

    def search(
        self,
        queries: npt.NDArray[np.float32],
        count: int,
        now: int,
        allowed: Allowed | None = None,
    ) -> list[list[Found]]:
        """Returns, for each query, up to `count` vectors of each part near it.

        Args:
            queries: (N, D) query vectors.
            count: Most of each part.
            now: The last change that the search sees.
            allowed: The products that they may be of; None takes all.
        """
        found: list[list[Found]] = [[] for _ in queries]
        for part in self._parts:
            if len(part.vectors):
                nearest = find_nearest(part, queries, count, now, allowed)
                for each, near in zip(found, nearest, strict=True):
                    if len(near.rows):
                        each.append(_take(part, near.rows, is_exact=near.is_exact))
        return found

    def search_exactly(self, query: npt.NDArray[np.float32], count: int, now: int) -> list[Found]:
        """Does for a query (D,) what `search` does, by looking at every vector."""
        found = []
        for part in self._parts:
            if len(part.vectors):
                vectors, dead_since = part.vectors, part.dead_since
                living = np.flatnonzero(dead_since[: len(vectors)] > now)
                rows = search_exactly(vectors, query, count, living)
                found.append(_take(part, rows, is_exact=True))
        return found

    # Merging: what is marked as the writer's is quick, and called by the thread that changes it.

    @property
    def needs_merge(self) -> bool:
        """Whether a graph is missing, or dead or new vectors have become many."""
        base, *newer = self._parts
        if any(part.is_graph_wanted for part in self._parts):
            return True
        total = sum(len(part.vectors) for part in self._parts)
        dead = sum(part.dead_count for part in self._parts)
        config = self._config
        new = sum(len(part.vectors) for part in newer) if isinstance(base, Segment) else total
        return dead > max(config.churn_floor, config.churn_share * total) or new > max(
            config.merge_floor, config.merge_share * (total - new)
        )

    @property
    def is_merged(self) -> bool:
        """Whether all that lives stands in one segment that a snapshot holds."""
        sealed = self._parts[:-1]
        is_stored = all(isinstance(part, Segment) and part.is_stored for part in sealed)
        return is_stored and len(sealed) <= 1 and not len(self._delta.vectors)

    def seal(self) -> tuple[Part, ...]:
        """Starts a new delta; returns the parts that no longer grow. The writer's."""
        if len(self._delta.vectors):
            self._delta = Delta(self._dimension, self._config)
            self._parts = (*self._parts, self._delta)
        return self._parts[:-1]

    def choose_rows(self, sealed: Sequence[Part]) -> list[Rows]:
        """Chooses the rows of sealed parts that a merged segment takes.

        Those of the first are taken as they stand, so that its graph can be kept, unless too many
        of them are dead.
        """
        chosen = [np.flatnonzero(part.dead_since == ALIVE) for part in sealed]
        if sealed and isinstance(sealed[0], Segment) and sealed[0].graph is not None:
            total, living = len(sealed[0].vectors), len(chosen[0])
            if total - living <= max(self._config.churn_floor / 2, total / 10):
                chosen[0] = np.arange(total)
        return chosen

    def replace(
        self, sealed: Sequence[Part], chosen: Sequence[Rows], merged: Segment | None
    ) -> None:
        """Puts a merged segment in the place of the parts it was made of. The writer's.

        Args:
            sealed: Those parts, the first of the index.
            chosen: Rows of each that were taken.
            merged: The segment; None when nothing was left.
        """
        if merged is not None:
            # What died while the segment was built is dead in it.
            ends = [part.dead_since[rows] for part, rows in zip(sealed, chosen, strict=True)]
            merged.dead_since[:] = np.concatenate(ends)
            merged.dead_count = int(np.count_nonzero(merged.dead_since != ALIVE))
        head = () if merged is None else (merged,)
        self._parts = (*head, *self._parts[len(sealed) :])


def _take(part: Part, rows: Rows, *, is_exact: bool) -> Found:
    has_further = part.vectors_per_product > 1
    return Found(
        product_numbers=part.product_numbers.take(rows),
        vectors=part.vectors.take(rows, axis=0),
        is_exact=is_exact,
        is_further=is_further(part.table.vector_versions.take(rows)) if has_further else None,
    )
