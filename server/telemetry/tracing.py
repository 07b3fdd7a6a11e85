"""Traces of OpenTelemetry: each call a tree of spans that goes on inside Triton.

Without an address to send them to, nothing is made and nothing runs: a span is one look at a
context variable. The SDK is imported only where traces are sent.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from twinshelf.server.telemetry.request_context import key_id, request_id, trace_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

_INSTRUMENT: Final = "twinshelf"
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_LONGEST_STATE: Final = 512
_FAILURES: Final = frozenset(("INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE"))
_NOTHING: Final = nullcontext()
# That of the call at hand: so the parts of the service need not be given it. None: not traced.
_tracer: ContextVar[Tracer | None] = ContextVar("twinshelf_tracer", default=None)


class Tracing:
    """Makes the spans of calls and sends them off, or does nothing at all."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        """Takes who makes the spans; None makes none."""
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer(_INSTRUMENT)

    @classmethod
    def to(cls, endpoint: str, *, sample_ratio: float = 1.0) -> Tracing:
        """Sends traces to a collector, from a thread of its own.

        A collector that is away costs the calls nothing: what it does not take is dropped.

        Args:
            endpoint: The collector's OTLP over gRPC: host:port or http://host:port in clear,
                https://host:port by TLS; empty makes no traces.
            sample_ratio: Share of the calls that are traced, 0 to 1. A caller who sends a
                `traceparent` decides for its own calls.
        """
        if not endpoint:
            return cls()
        from twinshelf.server.telemetry.trace_export import collector_exporter

        return cls.through(collector_exporter(endpoint), sample_ratio=sample_ratio)

    @classmethod
    def through(cls, exporter: SpanExporter, *, sample_ratio: float = 1.0) -> Tracing:
        """Hands traces to an exporter, from a thread of its own.

        Args:
            exporter: Takes the spans.
            sample_ratio: As for `to`.
        """
        from twinshelf.server.telemetry.trace_export import make_provider

        return cls(make_provider(exporter, sample_ratio=sample_ratio))

    @contextmanager
    def call(
        self, method: str, metadata: Iterable[tuple[str, str | bytes]] = ()
    ) -> Iterator[CallTrace]:
        """Opens the span of a call, below that of the caller when it sent a `traceparent`.

        Args:
            method: Path of the method; one that the server has, not any that a caller made up.
            metadata: What the caller sent.
        """
        if self._tracer is None:
            yield CallTrace(None)
            return
        parent = _PROPAGATOR.extract(_carrier(metadata))
        # Exceptions are not recorded: their text may be a caller's.
        with self._tracer.start_as_current_span(
            method.lstrip("/"),
            context=parent,
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as current:
            tracer_token = _tracer.set(self._tracer if current.is_recording() else None)
            trace_token = trace_id.set(trace.format_trace_id(current.get_span_context().trace_id))
            try:
                yield CallTrace(current)
            finally:
                trace_id.reset(trace_token)
                _tracer.reset(tracer_token)

    def close(self, timeout_s: float) -> None:
        """Sends what is left, and drops it when that takes too long. Blocks; a repeat is safe.

        Args:
            timeout_s: How long it may take, seconds.
        """
        provider, self._provider = self._provider, None
        if provider is not None:
            # The SDK would wait for each batch that a hanging collector does not take.
            closing = threading.Thread(target=provider.shutdown, name="tracing", daemon=True)
            closing.start()
            closing.join(timeout_s)


class CallTrace:
    """The span of a call, or of one that is not traced; made by `Tracing.call`."""

    __slots__ = ("_span",)

    def __init__(self, current: trace.Span | None) -> None:
        """Takes the span; None when none is made."""
        self._span = current

    def end(self, code: str) -> None:
        """Says how the call ended.

        Args:
            code: Name of its gRPC code.
        """
        if self._span is None:
            return
        self._span.set_attribute("rpc.system", "grpc")
        self._span.set_attribute("rpc.response.status_code", code)
        for name, variable in (("twinshelf.request_id", request_id), ("twinshelf.key_id", key_id)):
            if value := variable.get():
                self._span.set_attribute(name, value)
        if code in _FAILURES:
            self._span.set_status(Status(StatusCode.ERROR))


def span(name: str) -> AbstractContextManager[object]:
    """Opens a span below the one at hand, for the block of a `with` statement.

    Args:
        name: What the block does: "admission", "encode image".
    """
    tracer = _tracer.get()
    if tracer is None:
        return _NOTHING
    return tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)


def trace_headers() -> dict[str, str]:
    """Returns what makes Triton go on with the trace at hand; empty when there is none."""
    headers: dict[str, str] = {}
    if _tracer.get() is not None:
        _PROPAGATOR.inject(headers)
    return headers


def _carrier(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Picks what belongs to a trace; a state that is too long is left out."""
    return {
        key: value
        for key, value in metadata
        if key in ("traceparent", "tracestate")
        and isinstance(value, str)
        and len(value) <= _LONGEST_STATE
    }
