"""A matching service in a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.encoder import Encoder
from twinshelf.server.serving import create_server


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """A service that runs.

    Attributes:
        address: Where it is.
        process: That which serves.
    """

    address: str
    process: BaseProcess


@contextmanager
def serve_apart(
    config: ServerConfig, make_encoder: Callable[[], Encoder]
) -> Iterator[ServiceProcess]:
    """Serves, and stops at the end.

    For a service that may die, and beside another event loop of gRPC's: it has one poller per
    process, and the loops of two threads wait for each other there.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, make_encoder.__module__])  # once: it takes seconds
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(config, make_encoder, theirs), daemon=True)
    process.start()
    theirs.close()
    assert ours.poll(60), "the service did not start"
    try:
        yield ServiceProcess(f"127.0.0.1:{ours.recv()}", process)
    finally:
        ours.close()
        process.join(20)
        process.kill()


def _run(config: ServerConfig, make_encoder: Callable[[], Encoder], test: Connection) -> None:
    """Serves until the test closes its end of the connection, to which the port is sent."""

    async def serve() -> None:
        server, port = await create_server(config, make_encoder())
        test.send(port)
        with suppress(EOFError):
            await asyncio.to_thread(test.recv)
        await server.stop()

    asyncio.run(serve())
