"""When a call is repeated: exponential backoff with jitter, inside the caller's deadline."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import grpc

from twinshelf.client.errors import NOT_SENT, ServiceBusyError, TwinshelfError, error_from_call
from twinshelf.client.throttle import WINDOW_S, Throttle


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how fast a call is repeated when the service is UNAVAILABLE or busy.

    The wait before repeat n is drawn evenly from the upper half of
    `min(initial_backoff_s * multiplier ** (n - 1), max_backoff_s)`, so that clients that failed
    together do not come back together. A busy service says itself how long to wait: then it is
    that, and up to half more.

    Attributes:
        attempt_count: Attempts in all, 1 (never repeat) or more.
        initial_backoff_s: Longest wait before the first repeat, seconds, above zero.
        max_backoff_s: Longest wait before any repeat that is ours to choose, seconds.
        multiplier: Growth of the wait, 1 or more.

    Raises:
        ValueError: If a value is out of its range.
    """

    attempt_count: int = 5
    initial_backoff_s: float = 0.2
    max_backoff_s: float = 3.0
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if self.attempt_count < 1:
            raise ValueError(f"attempt_count must be 1 or more, got {self.attempt_count}")
        if not 0 < self.initial_backoff_s <= self.max_backoff_s:
            raise ValueError(
                "initial_backoff_s must be above zero and at most max_backoff_s, got "
                f"{self.initial_backoff_s} and {self.max_backoff_s}"
            )
        if self.multiplier < 1:
            raise ValueError(f"multiplier must be 1 or more, got {self.multiplier}")

    def backoff_s(self, failure_count: int, randomness: random.Random) -> float:
        """Returns how long to wait after a failure.

        Args:
            failure_count: Failures so far, 1 or more.
            randomness: Where the jitter comes from.
        """
        # The exponent is bounded: a float power overflows long before anyone waits that often.
        longest = self.initial_backoff_s * self.multiplier ** min(failure_count - 1, 64)
        return min(longest, self.max_backoff_s) * randomness.uniform(0.5, 1.0)

    def wait_s(
        self, error: TwinshelfError, failure_count: int, randomness: random.Random
    ) -> float | None:
        """Returns how long to wait before the next attempt; None when there is none.

        Args:
            error: How the last attempt failed.
            failure_count: Failures so far, 1 or more.
            randomness: Where the jitter comes from.
        """
        if not is_retriable(error) or failure_count >= self.attempt_count:
            return None
        backoff_s = self.backoff_s(failure_count, randomness)
        if error.retry_after_s is None:
            return backoff_s
        return max(backoff_s, error.retry_after_s * randomness.uniform(1.0, 1.5))


class CallAttempts:
    """The attempts of one call: how long the next may take, and whether there is a next."""

    def __init__(
        self,
        *,
        address: str,
        timeout_s: float,
        policy: RetryPolicy,
        randomness: random.Random,
        throttle: Throttle,
        is_safe_to_repeat: bool,
    ) -> None:
        """Starts the clock.

        Args:
            address: Where the call goes, for messages.
            timeout_s: Time for all attempts together, seconds.
            policy: How to repeat.
            randomness: Where the jitter comes from.
            throttle: What the client's calls of this kind came to.
            is_safe_to_repeat: Whether a call that was made, but whose answer was lost, may be made
                again; else only one is repeated of which the service says that it did nothing.
        """
        self._address = address
        self._deadline = time.monotonic() + timeout_s
        self._policy = policy
        self._randomness = randomness
        self._throttle = throttle
        self._is_safe_to_repeat = is_safe_to_repeat
        self._failure_count = 0

    @property
    def remaining_s(self) -> float:
        """Time that is left for the next attempt, seconds."""
        return max(0.0, self._deadline - time.monotonic())

    def start_s(self) -> float:
        """Returns the time that an attempt which starts now may take, seconds.

        Raises:
            ServiceBusyError: If it must not be made: the service refuses most calls.
        """
        if self._throttle.refuses():
            raise ServiceBusyError(
                f"the service at {self._address} refuses most calls of this kind for now, so "
                "this one was not sent; repeat it later",
                code=grpc.StatusCode.RESOURCE_EXHAUSTED,
                reason=NOT_SENT,
                retry_after_s=WINDOW_S,
            )
        return self.remaining_s

    def succeeded(self) -> None:
        """Takes that an attempt was answered."""
        self._throttle.learn(is_accepted=True)

    def wait_after_failure_s(self, error: grpc.RpcError | ServiceBusyError) -> float:
        """Takes the failure of an attempt and returns how long to wait before the next, seconds.

        Args:
            error: What the attempt raised, or `start_s`.

        Raises:
            TwinshelfError: If there is no next attempt.
        """
        if isinstance(error, ServiceBusyError):
            mapped: TwinshelfError = error
        else:
            mapped = error_from_call(error, self._address)
            self._throttle.learn(is_accepted=not is_busy(mapped))
        self._failure_count += 1
        wait_s = self._policy.wait_s(mapped, self._failure_count, self._randomness)
        if not (self._is_safe_to_repeat or is_refusal(mapped)):
            wait_s = None
        if wait_s is None or wait_s >= self.remaining_s:
            # What went wrong says more than "out of time". One that was not sent has no cause.
            raise mapped from None if mapped is error else error
        return wait_s


def is_retriable(error: TwinshelfError) -> bool:
    """Tells whether repeating the call may help.

    So it is while the service is away, or names a time, and where others changed the product.
    """
    return is_busy(error) or error.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)


def is_busy(error: TwinshelfError) -> bool:
    """Tells whether the service refused a call that it would have taken at another time."""
    return error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_after_s is not None


def is_refusal(error: TwinshelfError) -> bool:
    """Tells whether an error was given before anything was changed, or even sent."""
    # Without a reason the error is gRPC's own, of a connection that broke. Milvus may have done
    # what it did not answer.
    return error.reason not in ("", "CATALOGUE_UNAVAILABLE")
