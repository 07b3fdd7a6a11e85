"""How many products there are, and how many each encoder has embedded.

Milvus counts; between two counts this server adds what it wrote itself, so that whoever wrote
finds it counted.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial

from twinshelf.server.catalogue.encoder_state import EncoderState
from twinshelf.server.catalogue.index_changes import Write, count_writes
from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import CALL_TIMEOUT_S, Level, MilvusConnection
from twinshelf.server.catalogue.milvus.product_rows import PRODUCT
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.milvus.stored import (
    PATTERNS,
    embedded_condition,
    missing_condition,
)
from twinshelf.server.catalogue.product_record import count_products
from twinshelf.server.encoders.modalities import Pattern


class Counts:
    """Counts that one thread brings up to date, and any may ask for.

    Attributes:
        encoders: The encoders as they were when it was counted last.
    """

    def __init__(self, connection: MilvusConnection, collections: Collections) -> None:
        """Starts with nothing counted."""
        self.encoders = EncoderState()
        self._connection = connection
        self._collections = collections
        self._lock = threading.Lock()
        self._product_count = 0
        self._embedded: Counter[tuple[str, Pattern]] = Counter()
        self._missing: Counter[str] = Counter()
        self._further: Counter[str] = Counter()

    @property
    def product_count(self) -> int:
        """Products stored."""
        return self._product_count

    @property
    def embedded(self) -> Counter[tuple[str, Pattern]]:
        """Products by digest and pattern."""
        with self._lock:
            return self._embedded.copy()

    def embedded_count(self, digest: str) -> int:
        """Counts the products that an encoder has embedded."""
        with self._lock:
            return self._embedded_count(digest)

    def further_count(self, digest: str) -> int:
        """Counts the photos after the first that an encoder has embedded."""
        with self._lock:
            return self._further[digest]

    def missing_count(self, digest: str) -> int:
        """Counts the products that an encoder has not embedded."""
        with self._lock:
            return self._missing.get(digest, self._product_count - self._embedded_count(digest))

    def learn(self, writes: Sequence[Write]) -> None:
        """Counts what a batch of writes changed. The writer's."""
        with self._lock:
            before = {digest: self._embedded_count(digest) for digest in self._missing}
            added_count = count_products(result for _, result in writes)
            count_writes(writes, self._embedded, self._further)
            self._product_count += added_count
            for digest, count in before.items():
                self._missing[digest] += added_count - (self._embedded_count(digest) - count)

    def refresh(
        self,
        state: CatalogueState,
        *,
        level: Level | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> bool:
        """Has Milvus count; returns whether others have written. The writer's, between batches.

        What is missing is counted by itself, not as a difference: of two counts the second sees
        other writes, or a query node less, and would name products that nothing is wrong with.

        Args:
            state: The state of the catalogue.
            level: How fresh the counts are; None for what matching asks for.
            timeout_s: Time for each count.
        """
        products = self._collections.products
        count = partial(self._connection.count, level=level, timeout_s=timeout_s)
        embedded: Counter[tuple[str, Pattern]] = Counter()
        missing: Counter[str] = Counter()
        further: Counter[str] = Counter()
        product_count = count(products, f"kind == {PRODUCT}")
        for made_number, digest in state.digests.items():
            for pattern in PATTERNS:
                condition = embedded_condition(made_number, [pattern])
                embedded[digest, pattern] = count(products, condition)
            missing[digest] = count(products, missing_condition(made_number))
            if embedded[digest, Pattern.IMAGE] or embedded[digest, Pattern.BOTH]:
                vectors = self._collections.vectors(made_number)
                further[digest] = count(vectors, "photo > 0")
        with self._lock:
            before = (self._product_count, self._embedded, self._further)
            self._product_count, self._embedded, self._further = product_count, embedded, further
            self._missing = missing
            self.encoders = state.encoders
        return before != (product_count, embedded, further)

    def _embedded_count(self, digest: str) -> int:
        return sum(self._embedded[digest, pattern] for pattern in PATTERNS)
