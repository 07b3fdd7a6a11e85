"""What a server of a catalogue on Milvus does beside its callers: it looks, and tidies up."""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.milvus.collections import Collections
from twinshelf.server.catalogue.milvus.connection import MilvusConnection
from twinshelf.server.catalogue.milvus.orphans import Orphans
from twinshelf.server.catalogue.milvus.stored import StoredRows
from twinshelf.server.catalogue.milvus.write_batch import LONGEST_WRITE_S
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueUnavailableError

logger = logging.getLogger(__name__)
# A look may not take more than this share of the time of Milvus and of the writer.
_COUNTING_SHARE: Final = 0.02
_RETRY_COUNT_S: Final = 10.0
# As many as a search of the usual kind may ask for.
_RECALL_DEPTH: Final = 128
_SAMPLE_COUNT: Final = 1000
_SAMPLES: Final = 100
# Making messages of rows takes time as well, and clocks tick.
_SETTLE_RESERVE_S: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class MilvusConfig:
    """How often a server looks, and when a change is told.

    Attributes:
        look_interval_s: Time between two looks at the encoders of the catalogue.
        recall_interval_s: Time between two queries that are compared with a sample.
        orphan_interval_s: Time between two pages of vectors that are looked at for `Orphans`.
        settle_s: Age at which a change is told to those who watch; see `ChangeWindow`.
    """

    look_interval_s: float = 1.0
    recall_interval_s: float = 10.0
    orphan_interval_s: float = 10.0
    settle_s: float = LONGEST_WRITE_S + _SETTLE_RESERVE_S


class MilvusUpkeep:
    """One thread that works until it is closed."""

    def __init__(
        self,
        *,
        connection: MilvusConnection,
        collections: Collections,
        stored: StoredRows,
        count: Callable[[], None],
        is_outdated: Callable[[], bool],
        config: MilvusConfig,
    ) -> None:
        """Starts the thread.

        Args:
            connection: The connection.
            collections: Names the collections.
            stored: Reads the state.
            count: Has everything counted anew, and waits for it.
            is_outdated: Whether the encoders have changed since.
            config: How often what is done.
        """
        self._connection = connection
        self._collections = collections
        self._stored = stored
        self._orphans = Orphans(connection, collections, stored)
        self._count = count
        self._is_outdated = is_outdated
        self._config = config
        self._query: tuple[str, npt.NDArray[np.float32], Pattern] | None = None
        # Of each sample: how many belonged to the nearest, and how many of these were found.
        self._recalls: list[tuple[int, int]] = []
        self._problem: CatalogueUnavailableError | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalogue-upkeep", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> CatalogueUnavailableError | None:
        """What the last look failed with; None while Milvus answers."""
        return self._problem

    @property
    def live_recall(self) -> float:
        """Share found of what belonged to the nearest in recent samples, 0 to 1; NaN unknown."""
        wanted_count = sum(wanted for wanted, _ in self._recalls)
        found_count = sum(found for _, found in self._recalls)
        return found_count / wanted_count if wanted_count else math.nan

    def note_query(self, digest: str, vector: npt.NDArray[np.float32], pattern: Pattern) -> None:
        """Remembers a query that may be sampled; quick."""
        self._query = (digest, vector, pattern)

    def close(self) -> None:
        """Ends the thread. A repeat is safe."""
        self._closing.set()
        self._thread.join()

    def sample_recall(self) -> None:
        """Compares what the graph finds for the last query with a sample, scored one by one.

        A sample of the vectors is drawn by chance. Those of it that score higher than the last of
        the nearest that the graph found belong among them.
        """
        noted, self._query = self._query, None
        if noted is None:
            return
        digest, vector, pattern = noted
        collection = self._collections.vectors(self._stored.state.made_number(digest))
        if not self._connection.has_collection(collection):  # its encoder was dropped since
            return
        condition = f"pattern == {pattern:d}"
        (rows,) = self._connection.search(
            collection,
            [vector.tolist()],
            condition,
            ["key", "vector"],
            limit=_RECALL_DEPTH,
            params=self._collections.search_params(_RECALL_DEPTH, is_filtered=False),
        )
        start = secrets.token_hex(4)
        sample = self._connection.query(
            collection, f'{condition} and key > "{start}"', ["key", "vector"], limit=_SAMPLE_COUNT
        )
        if not rows or not sample:
            return
        found = self._collections.from_vectors([row["vector"] for row in rows]) @ vector
        scores = self._collections.from_vectors([row["vector"] for row in sample]) @ vector
        last = found.min() if len(rows) == _RECALL_DEPTH else -np.inf
        wanted = {row["key"] for row, score in zip(sample, scores, strict=True) if score > last}
        keys = {row["key"] for row in rows}
        self._recalls = [*self._recalls[1 - _SAMPLES :], (len(wanted), len(wanted & keys))]

    def _try_to_count(self) -> float:
        """Has everything counted, and returns when to do so again.

        Milvus answered just now. If it takes too long to count, the counts are old, and the rest
        goes on: writes that would wait for the next try as well, and health.
        """
        start_s = time.monotonic()
        try:
            self._count()
        except CatalogueUnavailableError as error:
            logger.warning("products were not counted: %s", error.message)
            return time.monotonic() + _RETRY_COUNT_S
        end_s = time.monotonic()
        return end_s + (end_s - start_s) / _COUNTING_SHARE

    def _run(self) -> None:
        next_count_s = 0.0
        next_recall_s = time.monotonic() + self._config.recall_interval_s
        next_orphan_s = time.monotonic() + self._config.orphan_interval_s
        while not self._closing.wait(self._config.look_interval_s):
            try:
                self._stored.read_state()
                self._problem = None
                now_s = time.monotonic()
                if now_s >= next_count_s or self._is_outdated():
                    next_count_s = self._try_to_count()
                if now_s >= next_recall_s:
                    next_recall_s = now_s + self._config.recall_interval_s
                    self.sample_recall()
                if now_s >= next_orphan_s:
                    next_orphan_s = now_s + self._config.orphan_interval_s
                    self._orphans.drop_left()
                    self._orphans.remove_some()
            except CatalogueUnavailableError as error:
                if self._problem is None:
                    logger.error("the catalogue is away: %s", error.message)
                self._problem = error
            except Exception:  # it must outlive whatever goes wrong
                logger.exception("a look at the catalogue on Milvus failed")
