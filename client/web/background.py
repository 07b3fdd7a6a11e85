"""Work in threads that goes on behind the request that began it; shown by polling."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from twinshelf.client.errors import TwinshelfError
from twinshelf.client.files.rows import ProductFileError
from twinshelf.client.sync_client import Client

logger = logging.getLogger(__name__)
AT_ONCE = 2


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a piece of work is.

    Attributes:
        doing: What is done, in words such as "reading"; empty when nothing is.
        done_count: Rows that are done.
        total_count: Rows in all; 0 when that is not known.
        trouble: Why it ended early, in a sentence; empty when it did not.
    """

    doing: str = ""
    done_count: int = 0
    total_count: int = 0
    trouble: str = ""


@dataclass(slots=True)
class Background:
    """Runs a few pieces of work at once, others wait; closed with the page."""

    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _clients: set[Client] = field(default_factory=set)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def start(
        self, doing: str, progress: Progress, work: Callable[[], None], *clients: Client
    ) -> None:
        """Starts a piece of work.

        Args:
            doing: What is done, in words.
            progress: Says so until the work ends, and why it ended early.
            work: Called in a thread.
            clients: What it works with; closed at its end, or at that of the page, which ends it.
        """
        progress.doing, progress.trouble = doing, ""
        progress.done_count = progress.total_count = 0
        self._clients.update(clients)
        task = asyncio.create_task(self._run(progress, work, clients))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends all work and waits for it."""
        for client in self._clients:
            client.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(
        self, progress: Progress, work: Callable[[], None], clients: Sequence[Client]
    ) -> None:
        try:
            async with self._slots:
                await asyncio.to_thread(work)
        except (TwinshelfError, ProductFileError) as error:
            progress.trouble = str(error)
        except Exception:
            logger.exception("%s failed", progress.doing)
            progress.trouble = "Something is broken in the page itself; its log says what."
        finally:
            progress.doing = ""
            self._clients.difference_update(clients)
            for client in clients:
                client.close()
