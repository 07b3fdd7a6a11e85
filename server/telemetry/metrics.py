"""What the service counts and measures, for Prometheus.

Every label comes from a fixed set, so that no caller can make new rows.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
)

from twinshelf.server.errors import TwinshelfError
from twinshelf.server.telemetry.triton_statistics import TritonStatistics

if TYPE_CHECKING:
    from tritonclient.grpc.service_pb2 import ModelStatisticsResponse

logger = logging.getLogger(__name__)

Stage = Literal["admission", "encode", "search", "rescore", "pairs"]
STAGES: Final[tuple[Stage, ...]] = ("admission", "encode", "search", "rescore", "pairs")
MODALITIES: Final = ("image", "text")
OTHER: Final = "other"
_CODES: Final = frozenset(code.name for code in grpc.StatusCode)
# fmt: off
_CALL_BUCKETS_S: Final = (
    .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1.0, 2.5, 5.0, 10.0, 30.0,
)
_STAGE_BUCKETS_S: Final = (
    .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1.0, 2.5, 10.0,
)
# fmt: on


class Tracked(Enum):
    """A number that is read where it lives whenever the metrics are asked for."""

    BYTES_HELD = ("held_bytes", "Bytes of messages that are held in memory.")
    PLACES_IN_USE = ("places_in_use", "Cost of the work at the encoder; 1 is a short text.")
    PLACE_LIMIT = ("place_limit", "Cost that may be at the encoder at once; adapts to latency.")
    WAITING_COUNT = ("waiting_count", "Offers and products that wait for a place.")
    CACHE_HITS = ("embedding_cache_hits", "Photos and texts whose embeddings were remembered.")
    CACHE_MISSES = ("embedding_cache_misses", "Photos and texts whose embeddings were not.")
    INDEX_SIZE = ("index_vectors", "Vectors in the search index.")
    PRODUCT_COUNT = ("products", "Products in the catalogue.")
    LIVE_RECALL = (
        "live_recall_ratio",
        "Share of the exact best matches of recent queries that the index found, 0 to 1.",
    )
    REINDEX_MISSING = (
        "reindex_missing_products",
        "Products that an encoder kept beside the serving one has not embedded.",
    )
    SHADOW_QUERIES = (
        "shadow_queries",
        "Matches that the encoder beside has answered as well since the encoders changed.",
    )
    SHADOW_OVERLAP = (
        "shadow_overlap_ratio",
        "Mean share of their ten best matches that both encoders name, 0 to 1.",
    )
    SHADOW_SCORE_SHIFT = (
        "shadow_score_shift",
        "Mean score of the best match by the encoder beside, less that by the serving one.",
    )


class Metrics:
    """All metrics of one server, in a registry of their own. Safe to use from any thread."""

    def __init__(self, methods: Iterable[str] = ()) -> None:
        """Makes the metrics, all at zero.

        Args:
            methods: Names of the methods to tell apart, such as "MatchProduct"; calls of any other
                count as "other".
        """
        self.registry = CollectorRegistry()
        self._methods = frozenset(methods)
        self._reasons = _known_reasons()
        self._make_call_metrics()
        self._make_gauges()
        self._triton = TritonStatistics()
        self.registry.register(self._triton)
        ProcessCollector(registry=self.registry)

    def _make_call_metrics(self) -> None:
        self._call_seconds = Histogram(
            "twinshelf_call_seconds",
            "Time from the start of a call to its end, by method and gRPC code.",
            ("method", "code"),
            buckets=_CALL_BUCKETS_S,
            registry=self.registry,
        )
        self._calls: dict[tuple[str, str], Histogram] = {}
        stage_seconds = Histogram(
            "twinshelf_stage_seconds",
            "Time that one offer or product spent in a stage; admission is the wait for a place.",
            ("stage",),
            buckets=_STAGE_BUCKETS_S,
            registry=self.registry,
        )
        # Looked up once: finding the row of a label takes longer than counting in it.
        self._stages = {stage: stage_seconds.labels(stage) for stage in STAGES}
        refusals = Counter(
            "twinshelf_refusals",
            "Errors that callers were answered with, by their reason.",
            ("reason",),
            registry=self.registry,
        )
        self._refusals = {name: refusals.labels(name) for name in (*sorted(self._reasons), OTHER)}

    def _make_gauges(self) -> None:
        self._gauges = {each: self._gauge(*each.value) for each in Tracked}
        self._stuck_calls = self._gauge(
            "stuck_calls", "Inferences that Triton has not answered after the encode time-out."
        )
        self._encoder_up = self._gauge(
            "encoder_up", "1 while the encoder and the catalogue can be used, else 0."
        )
        for unknown in self._gauges.values():
            unknown.set(math.nan)
        canary_seconds = Gauge(
            "twinshelf_canary_seconds",
            "Time that the last test embedding took, by modality.",
            ("modality",),
            registry=self.registry,
        )
        self._canaries = {each: canary_seconds.labels(each) for each in MODALITIES}
        for canary in self._canaries.values():
            canary.set(math.nan)
        self._encoder = Info(
            "twinshelf_encoder", "Version and digest of the encoder.", registry=self.registry
        )
        self._is_encoder_up = False

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(f"twinshelf_{name}", help_text, registry=self.registry)

    @property
    def is_encoder_up(self) -> bool:
        """Whether the encoder can be used."""
        return self._is_encoder_up

    def record_call(self, method: str, code: str, duration_s: float) -> None:
        """Counts a call that has ended.

        Args:
            method: Its name, alone or at the end of its path, "/twinshelf.v1.X/MatchProduct"; not a
                path that a caller made up.
            code: Name of its gRPC code, such as "OK".
            duration_s: From its start to its end, seconds.
        """
        name = method.rpartition("/")[2]
        labels = (
            name if name in self._methods else OTHER,
            code if code in _CODES else grpc.StatusCode.UNKNOWN.name,
        )
        row = self._calls.get(labels)
        if row is None:
            row = self._calls[labels] = self._call_seconds.labels(*labels)
        row.observe(duration_s)

    def record_refusal(self, reason: str) -> None:
        """Counts an error that a caller, or one message of a stream, was answered with.

        Args:
            reason: That of its ErrorInfo, such as "SERVER_BUSY".
        """
        self._refusals.get(reason, self._refusals[OTHER]).inc()

    def stage(self, stage: Stage) -> StageTimer:
        """Measures the block of a `with` statement, also when it ends by an error.

        Args:
            stage: What the block does.
        """
        return StageTimer(self._stages[stage])

    def observe_stage(self, stage: Stage, duration_s: float) -> None:
        """Counts a stage whose time was measured elsewhere.

        Args:
            stage: What was done.
            duration_s: How long it took, seconds.
        """
        self._stages[stage].observe(duration_s)

    def track(self, tracked: Tracked, read: Callable[[], float]) -> None:
        """Says where a number lives.

        Args:
            tracked: Which number.
            read: Returns it; quick, and safe to call from any thread. Called at each scrape.
        """

        def read_safely() -> float:
            """Lets one number that cannot be read not take all others away."""
            try:
                return float(read())
            except Exception:
                logger.exception("the metric %s cannot be read", tracked.value[0])
                return math.nan

        self._gauges[tracked].set_function(read_safely)

    def add_stuck_calls(self, count: int) -> None:
        """Counts inferences that Triton has not answered after the encode time-out.

        Args:
            count: How many more; below zero once it has.
        """
        self._stuck_calls.inc(count)

    def set_encoder_up(self, is_up: bool) -> None:
        """Says whether the encoder can be used."""
        self._is_encoder_up = is_up
        self._encoder_up.set(is_up)

    def set_encoder(self, *, version: int, digest: str) -> None:
        """Says which encoder serves."""
        self._encoder.info({"version": str(version), "digest": digest})

    def set_canary(self, modality: str, duration_s: float) -> None:
        """Says how long the last test embedding took.

        Args:
            modality: "image" or "text".
            duration_s: Seconds.
        """
        self._canaries[modality].set(duration_s)

    def record_triton_statistics(self, response: ModelStatisticsResponse) -> None:
        """Takes what Triton counts of its models, in place of what was taken before.

        Args:
            response: The answer of Triton's `ModelStatistics`.
        """
        self._triton.take(response)


class StageTimer:
    """Measures the block of a `with` statement; made by `Metrics.stage`."""

    __slots__ = ("_row", "_start_s")

    def __init__(self, row: Histogram) -> None:
        """Takes the row to count in."""
        self._row = row
        self._start_s = 0.0

    def __enter__(self) -> None:
        """Starts the clock."""
        self._start_s = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the clock."""
        self._row.observe(time.perf_counter() - self._start_s)


def _known_reasons() -> frozenset[str]:
    """The reasons of all errors of ours, and that of a failure that has no error of ours."""
    reasons = {"INTERNAL"}
    kinds: list[type[TwinshelfError]] = [TwinshelfError]
    while kinds:
        kind = kinds.pop()
        reasons.add(kind.reason)
        kinds += kind.__subclasses__()
    return frozenset(reasons)
