"""What a catalogue does beside its callers: merging, snapshots, checks, and samples of recall."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.index.catalogue_index import (
    CatalogueIndex,
    PatternFound,
    RunInWriter,
)
from twinshelf.server.catalogue.index.graph_build import BuildStoppedError
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.encoders.modalities import Pattern

logger = logging.getLogger(__name__)
_LOOK_INTERVAL_S = 0.5
_RETRY_INTERVAL_S = 30.0
_NICENESS = 5
# How long a merge that runs when the service stops, and the last snapshot, may take together: what
# stops the service waits half a minute and kills it then. The next start reads what is missing.
_LAST_MERGE_S = 10.0
_RECALL_DEPTH = 10
_RECALL_COUNT = 64
_RECALL_SAMPLES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepConfig:
    """How often what is done.

    Attributes:
        snapshot_interval_s: Time between two snapshots of the index.
        recall_interval_s: Time between two queries that are repeated exactly.
        check_interval_s: Time between two checks of the whole file; the first is at the start.
    """

    snapshot_interval_s: float = 300.0
    recall_interval_s: float = 10.0
    check_interval_s: float = 86_400.0


class Upkeep:
    """One thread of low priority that works until it is closed."""

    def __init__(
        self,
        *,
        store: ProductStore,
        indexes: Callable[[], Iterable[CatalogueIndex]],
        run_in_writer: RunInWriter,
        config: UpkeepConfig,
    ) -> None:
        """Starts the thread.

        Args:
            store: The products.
            indexes: Returns those that are searched now.
            run_in_writer: Runs a function between two batches of writes.
            config: How often what is done.
        """
        self._store = store
        self._indexes = indexes
        self._run_in_writer = run_in_writer
        self._config = config
        self._query: tuple[CatalogueIndex, npt.NDArray[np.float32], Pattern] | None = None
        self._recalls: deque[float] = deque(maxlen=_RECALL_SAMPLES)
        self._merging = threading.Lock()
        self._snapshot: asyncio.Future[None] | None = None
        self._woken = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="catalogue-upkeep", daemon=True)
        self._thread.start()

    @property
    def live_recall(self) -> float:
        """Mean recall@10 of the last sampled queries, 0 to 1; NaN before the first."""
        return float(np.mean(self._recalls)) if self._recalls else math.nan

    def note_query(
        self, index: CatalogueIndex, query: npt.NDArray[np.float32], pattern: Pattern
    ) -> None:
        """Remembers a query that may be sampled; quick."""
        self._query = (index, query, pattern)

    def wake(self) -> None:
        """Lets the thread look now whether there is something to do."""
        self._woken.set()

    async def snapshot(self) -> None:
        """Waits for a snapshot that is begun from now on, if there is something new.

        Who leaves does not free the thread that waits for the merge of a large graph: all who come
        meanwhile share the next one.
        """
        before = self._snapshot
        if before is not None:
            await asyncio.wait([before])
        if self._snapshot is before:
            self._snapshot = asyncio.ensure_future(asyncio.to_thread(self._write_snapshot))
        assert self._snapshot is not None
        await asyncio.shield(self._snapshot)

    def close(self) -> None:
        """Ends the thread, and writes a last snapshot where there is time. A repeat is safe."""
        if self._is_closed:
            return
        self._is_closed = True
        timer = threading.Timer(_LAST_MERGE_S, self._stop_merging)
        timer.start()
        self._woken.set()
        while self._thread.is_alive():
            self._store.guard.stop()  # a check takes most of a minute for a million products
            self._thread.join(_LOOK_INTERVAL_S)
        if self._store.guard.find_problem() is None:
            self._try("last snapshot", self._write_snapshot)
        timer.cancel()

    def _stop_merging(self) -> None:
        for index in self._indexes():
            index.folder.stop()

    def _run(self) -> None:
        # So that building a graph leaves the cores to those who search. The threads of usearch
        # are started here and inherit it.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        next_check_s = next_merge_s = time.monotonic()
        next_snapshot_s = next_check_s + self._config.snapshot_interval_s
        next_recall_s = next_check_s + self._config.recall_interval_s
        while not self._is_closed:
            now_s = time.monotonic()
            is_complete = now_s >= next_snapshot_s
            if is_complete:
                next_snapshot_s = now_s + self._config.snapshot_interval_s
            if now_s >= next_merge_s and not self._try(
                "merge", partial(self._merge, is_complete=is_complete)
            ):
                next_merge_s = now_s + _RETRY_INTERVAL_S
            if now_s >= next_check_s:
                next_check_s = now_s + self._config.check_interval_s
                self._try("check of the file", self._store.guard.check)
            if now_s >= next_recall_s:
                next_recall_s = now_s + self._config.recall_interval_s
                self._try("sample of recall", self._sample_recall)
            self._woken.wait(_LOOK_INTERVAL_S)
            self._woken.clear()

    def _try(self, task: str, work: Callable[[], None]) -> bool:
        """Does something, and returns whether it was done."""
        try:
            work()
        except BuildStoppedError as error:
            logger.warning("the %s waits for the next start: %s", task, error)
            return False
        except Exception:  # the upkeep must outlive whatever goes wrong, a full disk above all
            logger.exception("the %s of the catalogue failed", task)
            return False
        return True

    def _write_snapshot(self) -> None:
        self._merge(is_complete=True)

    def _merge(self, *, is_complete: bool) -> None:
        with self._merging:
            for index in self._indexes():
                if is_complete or index.needs_merge:
                    index.merge(self._store.reader, self._run_in_writer, is_complete=is_complete)

    def _sample_recall(self) -> None:
        if self._query is None:
            return
        index, query, pattern = self._query
        self._query = None
        best = _best_numbers(index.search_exactly(query, pattern, _RECALL_DEPTH), query)
        (near,) = index.search(query[np.newaxis], pattern, _RECALL_COUNT)
        found = _best_numbers(near, query)
        if best:
            self._recalls.append(len(best & found) / len(best))


def _best_numbers(found: list[PatternFound], query: npt.NDArray[np.float32]) -> set[int]:
    """Numbers of the products with the largest inner products."""
    scored = [
        (float(score), int(number))
        for each in found
        for score, number in zip(
            each.found.vectors.astype(np.float32) @ query, each.found.product_numbers, strict=True
        )
    ]
    return {number for _, number in sorted(scored, reverse=True)[:_RECALL_DEPTH]}
