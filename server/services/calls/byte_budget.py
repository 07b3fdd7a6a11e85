"""The memory that messages may take, over all requests: those being answered, and their answers."""

from __future__ import annotations

import asyncio
from collections import deque

from twinshelf.server.errors import TooManyBytesError


class ByteBudget:
    """Bytes that are shared by many requests. Belongs to one event loop."""

    def __init__(self, limit_bytes: int) -> None:
        """Takes the most that may be held at once."""
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held_bytes(self) -> int:
        """Bytes held now."""
        return self._held_bytes

    def take(self, size_bytes: int) -> None:
        """Takes bytes at once, or refuses.

        Raises:
            TooManyBytesError: If others hold too many.
        """
        if self._waiters or not self._fits(size_bytes):
            raise TooManyBytesError(
                f"requests hold {self._held_bytes} of {self._limit_bytes} bytes already, "
                f"{size_bytes} more do not fit; repeat the request later",
                retry_after_s=0.5,
            )
        self._held_bytes += size_bytes

    async def wait_for(self, size_bytes: int) -> None:
        """Waits until bytes can be taken, in the order of the callers."""
        if not self._waiters and self._fits(size_bytes):
            self._held_bytes += size_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (size_bytes, turn)
        self._waiters.append(waiter)
        try:
            await turn
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                self.give_back(0)  # those behind it may fit
            elif turn.done() and not turn.cancelled():
                self.give_back(size_bytes)
            raise

    def give_back(self, size_bytes: int) -> None:
        """Gives bytes back that were taken."""
        self._held_bytes -= size_bytes
        while self._waiters and self._fits(self._waiters[0][0]):
            waiting_bytes, turn = self._waiters.popleft()
            if not turn.done():
                self._held_bytes += waiting_bytes
                turn.set_result(None)

    def _fits(self, size_bytes: int) -> bool:
        """Whether bytes may be taken; what is larger than all of the budget may, alone."""
        return self._held_bytes == 0 or self._held_bytes + size_bytes <= self._limit_bytes
