"""Those who wait for the next change of the catalogue."""

from __future__ import annotations

import asyncio

from twinshelf.server.errors import ServerStoppingError


class ChangeFeed:
    """Wakes whoever waits. Belongs to one event loop; the writer's thread announces."""

    def __init__(self) -> None:
        """Starts with nobody who waits."""
        self._turn = 0
        self._is_closed = False
        self._waiting: set[asyncio.Future[None]] = set()

    def announce(self) -> None:
        """Wakes all, since something was written; called by one thread."""
        self._turn += 1
        # Whoever begins to wait now sees the new turn.
        for future in tuple(self._waiting):
            future.get_loop().call_soon_threadsafe(_wake, future)

    def turn(self) -> int:
        """Returns the number of announcements so far.

        Raises:
            ServerStoppingError: If the feed is closed.
        """
        if self._is_closed:
            raise ServerStoppingError("the server is stopping; go on from the last change later")
        return self._turn

    async def wait_after(self, turn: int) -> None:
        """Waits until there are more announcements than some, or the feed is closed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            if self._turn == turn and not self._is_closed:
                await future
        finally:
            self._waiting.discard(future)

    def close(self) -> None:
        """Ends the waiting of all. A repeat is safe."""
        self._is_closed = True
        for future in self._waiting:
            _wake(future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
