"""What is told of each call once it has ended: metrics, its trace, and a line of the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import grpc
from google.rpc import status_pb2

from twinshelf.server.access.scopes import METHOD_SCOPES
from twinshelf.server.errors import TwinshelfError, reason_of
from twinshelf.server.services.calls.statuses import CODES, status_of
from twinshelf.server.telemetry.logs import log_call
from twinshelf.server.telemetry.metrics import OTHER, Metrics
from twinshelf.server.telemetry.request_context import begin_request, peer, request_id
from twinshelf.server.telemetry.tracing import Tracing

_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclass(slots=True, kw_only=True)
class CallOutcome:
    """How a call ends; OK until an error of it is told."""

    code: str = grpc.StatusCode.OK.name
    reason: str = ""


class CallObserver:
    """Follows calls from their start to their end."""

    def __init__(self, *, metrics: Metrics, tracing: Tracing, slow_call_s: float) -> None:
        """Takes the parts that it works with.

        Args:
            metrics: Count the calls.
            tracing: Makes their spans.
            slow_call_s: From when on a call is logged as slow, seconds.
        """
        self._metrics = metrics
        self._tracing = tracing
        self._slow_call_s = slow_call_s

    @contextmanager
    def follow(
        self, method: str, context: grpc.aio.ServicerContext, *, is_stream: bool
    ) -> Iterator[CallOutcome]:
        """Follows a call while its body runs.

        Args:
            method: Path of the method.
            context: That of the call.
            is_stream: Whether it may take as long as its caller likes.
        """
        metadata = tuple(context.invocation_metadata() or ())
        peer.set(context.peer())
        if not request_id.get():  # else it was set when the caller's key was looked at
            begin_request(metadata)
        outcome = CallOutcome()
        start_s = time.perf_counter()
        # Strangers make paths up, and each would be a name of its own.
        known = method if method in METHOD_SCOPES else OTHER
        with self._tracing.call(known, metadata) as trace:
            try:
                yield outcome
            except BaseException:
                if outcome.code == grpc.StatusCode.OK.name:  # nothing of ours: the caller has gone
                    outcome.code = grpc.StatusCode.CANCELLED.name
                raise
            finally:
                duration_s = time.perf_counter() - start_s
                trace.end(outcome.code)
                self._metrics.record_call(known, outcome.code, duration_s)
                log_call(
                    method,
                    outcome.code,
                    duration_s,
                    slow_call_s=self._slow_call_s,
                    reason=outcome.reason,
                    is_stream=is_stream,
                )

    def status_of(self, error: BaseException, outcome: CallOutcome) -> status_pb2.Status:
        """Makes the status that a call ends with, and counts it."""
        status = status_of(error, request_id.get())
        outcome.code = _NAMES[status.code]
        outcome.reason = self._count(error)
        return status

    def turned_away(self, method: str, error: TwinshelfError) -> None:
        """Counts a call that is refused before anything of it is looked at."""
        self._metrics.record_call(method, _NAMES[CODES[type(error)]], 0.0)
        self._count(error)

    def row_status_of(self, error: BaseException, position: int) -> status_pb2.Status:
        """Makes the status of one row of a stream, and counts it; the stream goes on."""
        self._count(error)
        return status_of(error, f"{request_id.get()}/{position}")

    def _count(self, error: BaseException) -> str:
        reason = reason_of(error)
        self._metrics.record_refusal(reason)
        return reason
