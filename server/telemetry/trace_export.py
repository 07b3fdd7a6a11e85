"""Where finished spans go: to a collector, from a thread of their own. Imports the SDK."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

SERVICE_NAME: Final = "twinshelf"
# What a collector has not taken by then is dropped.
EXPORT_TIMEOUT_S: Final = 2.0
# It tells of every attempt; ours tells of the first that fails and of the first that works again.
_TALKATIVE: Final = "opentelemetry.exporter.otlp.proto.grpc"
logger = logging.getLogger(__name__)


def collector_exporter(endpoint: str) -> SpanExporter:
    """Makes what sends spans to a collector over OTLP and gRPC; connects when there are some.

    Args:
        endpoint: host:port or http://host:port in clear, https://host:port by TLS.
    """
    logging.getLogger(_TALKATIVE).setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(
        endpoint=endpoint,
        insecure=not endpoint.startswith("https://"),
        timeout=EXPORT_TIMEOUT_S,
    )
    return _ReportingExporter(exporter, endpoint)


def make_provider(exporter: SpanExporter, *, sample_ratio: float) -> TracerProvider:
    """Makes what makes spans; when its queue is full, further spans are dropped.

    Args:
        exporter: Takes the spans.
        sample_ratio: Share of the calls that are traced, 0 to 1, where the caller does not decide.
    """
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(sample_ratio),
        resource=Resource.create({"service.name": SERVICE_NAME}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class _ReportingExporter(SpanExporter):
    """Logs when spans begin to be lost, and when they no longer are."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._is_failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hands the spans on."""
        result = self._exporter.export(spans)
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            logger.warning("traces are lost: the collector at %s takes none", self._endpoint)
        elif self._is_failing and not is_failing:
            logger.warning("the collector at %s takes traces again", self._endpoint)
        self._is_failing = is_failing
        return result

    def shutdown(self) -> None:
        """Ends it."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Waits for what is under way."""
        return self._exporter.force_flush(timeout_millis)
