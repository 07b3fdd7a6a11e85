"""The search index over the whole catalogue: one vector index for each modality pattern.

A cache of the product store: opened from a snapshot and what was written since, or read anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.facets.facet_table import Allowed
from twinshelf.server.catalogue.index.graph import IndexConfig, Rows
from twinshelf.server.catalogue.index.graph_build import BuildStoppedError
from twinshelf.server.catalogue.index.segment import Part, Segment
from twinshelf.server.catalogue.index.snapshot import SnapshotFolder
from twinshelf.server.catalogue.index.snapshot_file import SnapshotError
from twinshelf.server.catalogue.index.vector_index import Found, VectorIndex
from twinshelf.server.catalogue.product_record import VectorTable, vector_keys
from twinshelf.server.catalogue.rows.product_reader import ProductReader
from twinshelf.server.catalogue.rows.vector_reader import VectorKeys, VectorReader
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.modalities import Pattern

logger = logging.getLogger(__name__)
PATTERNS = (Pattern.IMAGE, Pattern.TEXT, Pattern.BOTH)
# More vectors than these make a segment at the start instead of joining the delta one by one.
_DELTA_LIMIT = 1024
Result = TypeVar("Result")


class RunInWriter(Protocol):
    """Runs a function between two batches of writes, in the writer's thread."""

    def __call__(self, function: Callable[[], Result]) -> Result:
        """Waits for the function, and returns its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternFound:
    """Vectors of one pattern near a query.

    Attributes:
        pattern: Modalities that the products have.
        found: Their vectors.
    """

    pattern: Pattern
    found: Found


class CatalogueIndex:
    """Vectors of the products that one encoder embedded. One thread changes it, many search it."""

    def __init__(
        self, contract: EncoderContract, config: IndexConfig, folder: SnapshotFolder
    ) -> None:
        """Makes an empty index for the embeddings of an encoder."""
        self.digest = contract.digest
        self.folder = folder
        self._config = config
        self._missing_halves = {
            Pattern.IMAGE: slice(contract.image_dimension, None),
            Pattern.TEXT: slice(contract.image_dimension),
        }
        self._indexes = {p: VectorIndex(contract.dimension, config) for p in PATTERNS}
        # The last change that searches see, counted here; see `VectorIndex.retire`.
        self._now = 0

    @classmethod
    def open(
        cls,
        products: ProductReader,
        contract: EncoderContract,
        config: IndexConfig,
        parent: Path,
    ) -> Self:
        """Opens the index from its snapshot and the products; takes long without a snapshot.

        What is written meanwhile must be told to it afterwards, by `catch_up`. What has no graph
        yet is searched exhaustively until `merge` has built one.
        """
        folder = SnapshotFolder(
            parent, catalogue_id=products.catalogue_id, contract=contract, config=config
        )
        index = cls(contract, config, folder)
        is_readable = index._read_manifest(products)
        for pattern in PATTERNS:
            segment = index._open_segment(pattern) if is_readable else None
            index._fill(products.vectors, contract, pattern, segment)
        logger.info("the index holds %d vectors of %s", len(index), contract.digest)
        return index

    def __len__(self) -> int:
        """Counts the vectors that a search can return."""
        return sum(len(index) for index in self._indexes.values())

    def change(
        self,
        added: dict[Pattern, VectorTable],
        retired: dict[Pattern, npt.NDArray[np.int64]],
    ) -> None:
        """Learns of new vectors and of the end of others, at once for searches. The writer's."""
        for pattern, table in added.items():
            self._indexes[pattern].add(table)
        for pattern, keys in retired.items():
            # A row whose pattern is damaged does not tell where its vector stands.
            for each in (pattern,) if pattern in PATTERNS else PATTERNS:
                self._indexes[each].retire(keys, self._now + 1)
        self._now += 1

    def catch_up(
        self,
        added: dict[Pattern, VectorTable],
        retired: dict[Pattern, npt.NDArray[np.int64]],
    ) -> None:
        """Does what `change` does, with changes of which it may know some already."""
        missing = {}
        for pattern, table in added.items():
            rows = np.flatnonzero(self._indexes[pattern].find_missing(table.keys))
            missing[pattern] = table.take(rows)
        self.change(missing, retired)

    def search(
        self,
        queries: npt.NDArray[np.float32],
        pattern: Pattern,
        count: int,
        allowed: Allowed | None = None,
    ) -> list[list[PatternFound]]:
        """Returns, for each query, vectors near it of each pattern that shares a modality with it.

        Args:
            queries: (N, D) query vectors.
            pattern: Modalities that count in the queries.
            count: Most vectors of each part of each pattern.
            allowed: The products that they may be of; None takes all.
        """
        now = self._now
        found: list[list[PatternFound]] = [[] for _ in queries]
        for indexed, index in self._indexes.items():
            if indexed & pattern and not index.is_empty:
                near = index.search(self._facing(queries, indexed), count, now, allowed)
                for each, parts in zip(found, near, strict=True):
                    each += [PatternFound(pattern=indexed, found=part) for part in parts]
        return found

    def search_exactly(
        self, query: npt.NDArray[np.float32], pattern: Pattern, count: int
    ) -> list[PatternFound]:
        """Does for a query (D,) what `search` does, by looking at every vector."""
        now = self._now
        return [
            PatternFound(pattern=indexed, found=found)
            for indexed, index in self._indexes.items()
            if indexed & pattern
            for found in index.search_exactly(
                self._facing(query[np.newaxis], indexed)[0], count, now
            )
        ]

    def _facing(
        self, queries: npt.NDArray[np.float32], pattern: Pattern
    ) -> npt.NDArray[np.float32]:
        """Returns queries (N, D) for vectors of a pattern: of one half, it alone at length 1.

        The ranking is the same. A small weight would be lost where products are compared in fp16.
        """
        missing = self._missing_halves.get(pattern)
        if missing is None:
            return queries
        faced = queries.astype(np.float64)
        faced[:, missing] = 0
        norms = np.linalg.norm(faced, axis=1, keepdims=True)
        faced /= np.maximum(norms, np.finfo(np.float64).tiny)
        return faced.astype(np.float32)

    @property
    def needs_merge(self) -> bool:
        """Whether a merge is due."""
        return any(index.needs_merge for index in self._indexes.values())

    def merge(
        self, products: ProductReader, run_in_writer: RunInWriter, *, is_complete: bool
    ) -> None:
        """Merges new vectors into the segments and writes a snapshot, beside the writer.

        Args:
            products: Tells the last change.
            run_in_writer: Runs a function between two batches of writes, and returns its result.
            is_complete: Whether all patterns with new vectors are merged, and not only those in
                which a merge is due.

        Raises:
            BuildStoppedError: If it was stopped, and is still searched.
        """
        folder = self.folder
        with folder.writing:
            try:
                for pattern, index in self._indexes.items():
                    is_due = index.needs_merge or (is_complete and not index.is_merged)
                    if is_due and not folder.is_closed:
                        self._merge(pattern, index, products, run_in_writer)
            except BuildStoppedError:
                if not folder.is_closed:
                    raise
            if not (folder.is_committed or folder.is_closed):
                folder.commit()

    def _merge(
        self,
        pattern: Pattern,
        index: VectorIndex,
        products: ProductReader,
        run_in_writer: RunInWriter,
    ) -> None:
        def seal() -> tuple[tuple[Part, ...], int]:
            """Ends the delta together with the number of its last change."""
            return index.seal(), products.change_sequence()

        sealed, last_change = run_in_writer(seal)
        chosen: list[Rows] = index.choose_rows(sealed)
        pieces = list(zip(sealed, chosen, strict=True))
        merged = self.folder.write_segment(pattern, pieces, last_change)
        run_in_writer(lambda: index.replace(sealed, chosen, merged))
        logger.info("merged %d vectors with the pattern %s", len(index), pattern.key)

    def _read_manifest(self, products: ProductReader) -> bool:
        """Reads the manifest; tells whether there is one that fits, and the log why not."""
        last_change = products.change_sequence()
        try:
            self.folder.read_manifest()
        except SnapshotError as error:
            if last_change > 0:
                logger.warning("the index is read anew from the products: %s", error)
            return False
        if self.folder.last_change > last_change:
            logger.error(
                "the snapshot of the index knows of change %d, the catalogue of %d only: "
                "writes were lost, or an older file was put in its place",
                self.folder.last_change,
                last_change,
            )
        return True

    def _open_segment(self, pattern: Pattern) -> Segment | None:
        try:
            return self.folder.open_segment(pattern)
        except (SnapshotError, FileNotFoundError) as error:  # a drop removes its files meanwhile
            logger.warning("vectors of the pattern %s are read anew: %s", pattern.key, error)
            return None

    def _fill(
        self,
        vectors: VectorReader,
        contract: EncoderContract,
        pattern: Pattern,
        segment: Segment | None,
    ) -> None:
        """Brings a pattern up to the product store, whatever its snapshot lacks or has too many."""
        digest, index = contract.digest, self._indexes[pattern]
        truths = [vectors.keys(digest, pattern), vectors.further_keys(digest, pattern)]
        missing = [np.ones(len(truth.product_numbers), dtype=bool) for truth in truths]
        if segment is not None:
            found = [_find_rows(segment, truth) for truth in truths]
            missing = [rows < 0 for rows in found]
            is_dead = np.ones(len(segment.table), dtype=bool)
            for rows in found:
                is_dead[rows[rows >= 0]] = False
            segment.dead_since[is_dead] = 0
            segment.dead_count = int(np.count_nonzero(is_dead))
            index.append(segment)
        for truth, lacks, read in zip(
            truths, missing, (vectors.table, vectors.further_table), strict=True
        ):
            numbers = np.unique(truth.product_numbers[lacks])
            if len(numbers) == 0:
                continue
            table = read(numbers, digest, pattern, contract.dimension)
            # Of a product's further photos some may be there.
            keys = vector_keys(truth.product_numbers[lacks], truth.vector_versions[lacks])
            rows = np.flatnonzero(np.isin(table.keys, keys))
            if len(rows) < len(table):
                table = table.take(rows)
            if len(table) <= _DELTA_LIMIT:
                index.add(table)
            else:
                index.append(Segment(table, None, self._config, is_stored=False))


def _find_rows(segment: Segment, truth: VectorKeys) -> Rows:
    """Returns the row (N,) of each stored vector in a segment, -1 where it is not the same."""
    rows = segment.find(vector_keys(truth.product_numbers, truth.vector_versions))
    is_other = segment.table.checksums[rows] != truth.checksums
    rows[is_other] = -1
    return rows
