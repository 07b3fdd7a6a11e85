"""What all calls of one client have in common, whether it is the sync or the asyncio one."""

from __future__ import annotations

import random

from google.protobuf.message import Message

from twinshelf.client.changes import WatchPoint
from twinshelf.client.channel import check_address, check_timeout
from twinshelf.client.listening import Listening
from twinshelf.client.retries import CallAttempts, RetryPolicy
from twinshelf.client.streams import Answer, Row, StreamMethod, StreamRows
from twinshelf.client.throttle import Throttle


class CallTerms:
    """Where calls go, how long they may take, and how they are repeated."""

    def __init__(
        self, address: str, *, timeout_s: float, policy: RetryPolicy | None, seed: int | None
    ) -> None:
        """Checks address and timeout.

        Args:
            address: Of the service.
            timeout_s: Default time for a call, seconds, above zero.
            policy: How to repeat when the service is UNAVAILABLE or busy; None takes the default.
            seed: Makes the jitter of the backoff repeatable; None does not.

        Raises:
            ValueError: If the address has no port, or the timeout is not above zero.
        """
        self._address = check_address(address)
        self._timeout_s = check_timeout(timeout_s)
        self._policy = policy or RetryPolicy()
        self._randomness = random.Random(seed)
        self._throttles: dict[type[Message], Throttle] = {}

    def timeout_s(self, asked_s: float | None) -> float:
        """Returns the time for a call, seconds.

        Args:
            asked_s: What the caller asked for, above zero; None takes the client's own.

        Raises:
            ValueError: If it is not above zero.
        """
        return self._timeout_s if asked_s is None else check_timeout(asked_s)

    def attempts(
        self, request: Message, asked_s: float | None, *, is_safe_to_repeat: bool
    ) -> CallAttempts:
        """Starts the clock of a call.

        Args:
            request: What is sent.
            asked_s: Time for all attempts together, seconds; None takes the client's own.
            is_safe_to_repeat: Whether the call may be made again after its answer was lost.

        Raises:
            ValueError: If it is not above zero.
        """
        return CallAttempts(
            address=self._address,
            timeout_s=self.timeout_s(asked_s),
            policy=self._policy,
            randomness=self._randomness,
            throttle=self._throttle_of(type(request)),
            is_safe_to_repeat=is_safe_to_repeat,
        )

    def _throttle_of(self, kind: type[Message]) -> Throttle:
        # A service that is too busy to embed still answers what needs no encoder.
        return self._throttles.setdefault(kind, Throttle(self._randomness))

    def watching(self, from_sequence: int, *, includes_products: bool) -> WatchPoint:
        """Opens a watch of changes.

        Args:
            from_sequence: The last change that is known.
            includes_products: Whether the products come as well.
        """
        return WatchPoint(
            from_sequence,
            includes_products=includes_products,
            address=self._address,
            policy=self._policy,
            randomness=self._randomness,
        )

    def listening(
        self, method: StreamMethod[Row, Answer], asked_s: float | None
    ) -> Listening[Row, Answer]:
        """Opens the books of a stream, and its listening side.

        Args:
            method: How the method of the stream speaks.
            asked_s: Longest silence of the service, seconds; None takes the client's own.

        Raises:
            ValueError: If it is not above zero.
        """
        timeout_s = self.timeout_s(asked_s)
        rows = StreamRows(
            method, policy=self._policy, timeout_s=timeout_s, randomness=self._randomness
        )
        return Listening(rows, address=self._address, timeout_s=timeout_s)
