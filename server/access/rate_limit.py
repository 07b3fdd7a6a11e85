"""Holds each key to its calls a second, by a token bucket."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from twinshelf.server.access.key_file import ApiKey
from twinshelf.server.errors import RateLimitedError


class RateLimit:
    """The calls that each key has left.

    A key that was never used has its whole burst. A changed limit counts from the next call on.
    """

    def __init__(self, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Starts with nothing used.

        Args:
            clock_s: Counts seconds.
        """
        self._clock_s = clock_s
        # By key_id: calls left, and when that was so. As many as there were keys with a limit.
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key: ApiKey) -> None:
        """Counts one call.

        Args:
            key: Whose call.

        Raises:
            RateLimitedError: If the key has no call left; it says in how many seconds it has.
        """
        if math.isinf(key.requests_per_second):
            return
        now_s = self._clock_s()
        left, since_s = self._left.get(key.key_id, (float(key.burst_count), now_s))
        left = min(key.burst_count, left + (now_s - since_s) * key.requests_per_second)
        if left < 1:
            self._left[key.key_id] = (left, now_s)
            raise RateLimitedError(
                f"the API key {key.key_id} may make {key.requests_per_second:g} calls a second, "
                f"and {key.burst_count} at once",
                retry_after_s=(1 - left) / key.requests_per_second,
            )
        self._left[key.key_id] = (left - 1, now_s)
