"""The standard health service: what each service's state is, for callers who ask or watch.

Our own and not that of `grpcio-health-checking`, whose asyncio version stops telling the watchers
of a service once one of them has left, and keeps a stopping server waiting for those that stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

OVERALL = ""
SERVICE_NAME = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
LONGEST_ECHO = 128


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Answers `grpc.health.v1.Health`. Nothing is healthy before it is said to be."""

    def __init__(self, service_names: Sequence[str], watcher_limit: int) -> None:
        """Names the services that it knows of.

        Args:
            service_names: Their names.
            watcher_limit: Most watchers at once: they need no key, and each takes one of the
                server's calls for as long as it likes.
        """
        self._watcher_limit, self._watcher_count = watcher_limit, 0
        self._is_serving = dict.fromkeys(service_names, False)
        self._is_stopping = False
        self._changed = asyncio.Event()

    def set_serving(self, is_serving: bool) -> None:
        """Says whether the services can be used; has no effect once they are stopping."""
        if not self._is_stopping:
            self._is_serving = dict.fromkeys(self._is_serving, is_serving)
            self._tell()

    @property
    def is_serving(self) -> bool:
        """Whether the services can be used."""
        return self._is_serving[OVERALL]

    def stop(self) -> None:
        """Says for good that nothing can be used, and lets the watchers go."""
        self.set_serving(False)
        self._is_stopping = True
        self._tell()

    async def Check(  # noqa: N802 - the name is the proto's
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        """Returns the state of a service; an unknown one is NOT_FOUND."""
        if request.service not in self._is_serving:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"no service {request.service[:LONGEST_ECHO]!r} here"
            )
        return self._response(request.service)

    async def Watch(  # noqa: N802 - the name is the proto's
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Sends the state of a service now and whenever it changes."""
        if self._watcher_count >= self._watcher_limit:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{self._watcher_count} callers watch already: ask by Check instead",
            )
        self._watcher_count += 1
        try:
            async for response in self._states(request.service):
                yield response
        finally:
            self._watcher_count -= 1

    async def _states(self, service: str) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        last = None
        while True:
            # Before the answer is sent: what happens meanwhile is told in the next round.
            changed, is_last = self._changed, self._is_stopping
            response = self._response(service)
            if response != last:
                yield response
                last = response
            if is_last:
                return
            await changed.wait()

    def _response(self, service: str) -> health_pb2.HealthCheckResponse:
        states = {
            True: health_pb2.HealthCheckResponse.SERVING,
            False: health_pb2.HealthCheckResponse.NOT_SERVING,
            None: health_pb2.HealthCheckResponse.SERVICE_UNKNOWN,
        }
        return health_pb2.HealthCheckResponse(status=states[self._is_serving.get(service)])

    def _tell(self) -> None:
        """Wakes all watchers; those that come later wait for the next change."""
        self._changed.set()
        self._changed = asyncio.Event()
