"""All that is started for a run: Milvus, Triton and two matching servers, and what kills them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from tests.cluster.known_catalogue import KnownCatalogue, fill
from tests.soak.deployment import Deployment
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.encoders.contract import EncoderContract

# As long as a supervisor takes to notice.
_RESTART_AFTER_S: Final = 5.0
_READER_COUNT: Final = 4


class Engine(Protocol):
    """A Milvus of which something can be killed."""

    @property
    def address(self) -> str:
        """The host:port to connect to."""

    @property
    def replica_count(self) -> int:
        """Copies of all rows in memory."""

    @property
    def victim(self) -> str:
        """What can be killed."""

    def start(self) -> None:
        """Starts it and waits until it is healthy."""

    def kill(self) -> None:
        """Kills the victim."""

    def heal(self) -> None:
        """Starts the victim again."""

    def close(self) -> None:
        """Ends all. A repeat is safe."""


class Deployed:
    """A context in which Milvus and Triton run, and the matching servers once they are started.

    Attributes:
        faults: What kills a part and starts it again, by its name.
    """

    def __init__(self, folder: Path, *, engine: Engine, repository: Path) -> None:
        """Starts nothing.

        Args:
            folder: For logs.
            engine: Milvus.
            repository: Model repository that Triton serves.
        """
        self._engine = engine
        self._uri = f"milvus://{engine.address}/cluster?replicas={engine.replica_count}"
        self._first = Deployment(folder / "first", repository=repository)
        self.triton_address = self._first.triton_address
        # Both ask the Triton of the first. What is grouped beside the writes is not shown here.
        shared = ("--catalogue", self._uri, "--triton", self.triton_address, "--no-groups")
        self._servers = [
            Deployment(folder / name, repository=repository, service_arguments=shared)
            for name in ("server-1", "server-2")
        ]
        self.faults: dict[str, Callable[[], None]] = {
            engine.victim: self._kill_in_milvus,
            "server": self._kill_server,
            "Triton": self._kill_triton,
        }

    @property
    def addresses(self) -> list[str]:
        """The host:port of each matching server."""
        return [server.address for server in self._servers]

    @property
    def address(self) -> str:
        """All of them, as a client takes them."""
        return "ipv4:" + ",".join(self.addresses)

    def __enter__(self) -> Self:
        try:
            self._first.start_triton()
            self._engine.start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    async def fill(self, known: KnownCatalogue, contract: EncoderContract) -> None:
        """Loads made products, without the towers."""
        address = MilvusAddress.parse(self._uri)
        assert address is not None
        catalogue = MilvusCatalogue(address, reader_count=_READER_COUNT)
        try:
            await fill(catalogue, known, contract)
        finally:
            await catalogue.close()

    def start_services(self) -> None:
        """Starts the matching servers and waits until they listen."""
        for server in self._servers:
            server.start_service()

    def _kill_in_milvus(self) -> None:
        self._engine.kill()
        time.sleep(_RESTART_AFTER_S)
        self._engine.heal()

    def _kill_server(self) -> None:
        server = self._servers[0]
        assert server.service is not None
        server.service.kill()
        time.sleep(_RESTART_AFTER_S)
        server.start_service()

    def _kill_triton(self) -> None:
        """Its own launcher starts it again."""
        tritonserver = self._first.tritonserver
        assert tritonserver is not None
        tritonserver.kill()

    def _close(self) -> None:
        """Ends all, also when something interrupts it once more."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._engine.close)
            for each in (self._first, *self._servers):
                stack.callback(each.stop)
