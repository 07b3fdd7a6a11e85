"""How the sync client calls the service: one channel, attempts that are repeated, streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import grpc

from twinshelf.client.call_terms import CallTerms
from twinshelf.client.changes import ProductChange
from twinshelf.client.channel import CHANNEL_OPTIONS
from twinshelf.client.credentials import ClientTls, Metadata, channel_credentials
from twinshelf.client.errors import ServiceBusyError
from twinshelf.client.streams import Answer, Row, StreamMethod
from twinshelf.client.sync_stream import SyncStream

Response = TypeVar("Response")


def open_channel(address: str, tls: ClientTls | None) -> grpc.Channel:
    """Makes a channel; the service is reached at the first call.

    Args:
        address: host:port of the service.
        tls: How to speak TLS; None speaks in clear.

    Raises:
        ValueError: If a file of TLS cannot be used.
    """
    if tls is None:
        return grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
    options = CHANNEL_OPTIONS + tls.channel_options
    return grpc.secure_channel(address, channel_credentials(tls), options=options)


class SyncCalls:
    """Makes the calls of one client."""

    def __init__(self, terms: CallTerms, metadata: Metadata) -> None:
        """Takes how calls are repeated, and what is sent with each."""
        self._terms = terms
        self._metadata = metadata

    def call(
        self,
        method: Callable[..., Response],
        request: Any,
        timeout_s: float | None,
        *,
        is_safe_to_repeat: bool = True,
    ) -> Response:
        """Calls a method, again and again while that may help."""
        attempts = self._terms.attempts(request, timeout_s, is_safe_to_repeat=is_safe_to_repeat)
        while True:
            try:
                response = method(request, timeout=attempts.start_s(), metadata=self._metadata)
                attempts.succeeded()
                return response
            except (grpc.RpcError, ServiceBusyError) as error:
                time.sleep(attempts.wait_after_failure_s(error))

    def stream(
        self,
        method: Callable[..., Any],
        kind: StreamMethod[Row, Answer],
        rows: Iterable[Row],
        timeout_s: float | None,
    ) -> Iterator[Answer]:
        """Sends rows by a method of two streams; yields each answer as it comes, in any order."""
        return SyncStream(
            lambda requests: method(requests, metadata=self._metadata),
            self._terms.listening(kind, timeout_s),
            rows,
        ).answers()

    def watch(
        self, method: Callable[..., Any], from_sequence: int, *, includes_products: bool
    ) -> Iterator[ProductChange]:
        """Yields changes for as long as it is iterated; a watch that breaks goes on."""
        point = self._terms.watching(from_sequence, includes_products=includes_products)
        while True:
            call = method(point.begin(), metadata=self._metadata)
            try:
                for response in call:
                    yield from point.take(response)
            except grpc.RpcError as error:
                time.sleep(point.wait_after_break_s(error))
            finally:
                call.cancel()
