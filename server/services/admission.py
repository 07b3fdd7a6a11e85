"""How many offers are embedded at once, and how many may wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.errors import ServerBusyError


class Admission:
    """A bounded number of places, and a bounded queue before them."""

    def __init__(self, *, in_flight_count: int, waiting_count: int) -> None:
        """Sets the bounds.

        Args:
            in_flight_count: Places.
            waiting_count: How many may wait for a place.
        """
        self._places = asyncio.Semaphore(in_flight_count)
        self._waiting_count = waiting_count
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Holds a place while its body runs.

        Raises:
            ServerBusyError: If too many wait already.
        """
        if self._places.locked():
            if self._waiting >= self._waiting_count:
                raise ServerBusyError(
                    f"{self._waiting} requests wait already; repeat the request later"
                )
            self._waiting += 1
            try:
                await self._places.acquire()
            finally:
                self._waiting -= 1
        else:
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()
