"""Where no cluster can run: the Milvus of the wheel in one process, which dies as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.milvus.local_server import LocalServer

# That of Milvus itself: with the quick one of the tests every figure would be better than it is.
_TICK_MS: Final = 200


class SingleMilvus:
    """One process over a folder, with what `MilvusCluster` has.

    Attributes:
        address: The host:port to connect to.
        replica_count: Copies of all rows in memory.
        victim: What can be killed of it.
    """

    replica_count = 1
    victim = "Milvus"

    def __init__(self, folder: Path) -> None:
        """Writes the configuration."""
        self._server = LocalServer(folder, tick_ms=_TICK_MS)
        self.address = self._server.address

    def start(self) -> None:
        """Starts it and waits until it is healthy."""
        self._server.start()

    def kill(self) -> None:
        """Kills it."""
        self._server.kill()

    def heal(self) -> None:
        """Starts it again."""
        self._server.start()

    def close(self) -> None:
        """Ends it. A repeat is safe."""
        self._server.kill()
