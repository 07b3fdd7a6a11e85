"""The real Milvus of the wheel `milvus`, on loopback: one process that a test may kill.

A port of its etcd is a fixed one, so a machine runs one at a time.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

from twinshelf.server.triton.command import tied_to_this_process

_READY_TIMEOUT_S = 90.0
# The clock of the log: what is strongly consistent waits for a tick. The default of 200 ms would
# make tests of single writes slow.
TICK_MS = 20


class LocalServer:
    """A Milvus over a folder. Killed and started again, it must know all that it acknowledged."""

    def __init__(self, folder: Path, *, tick_ms: int = TICK_MS) -> None:
        """Writes the configuration; ports are chosen once, so that clients find it again.

        Args:
            folder: Where data, configuration and logs are kept.
            tick_ms: Time between two ticks of the clock of the log.
        """
        self._folder = folder
        import milvus  # its own target installs it

        self._config = milvus.MilvusServerConfig(data_dir=str(folder))
        self._config.set("proxy.timeTickInterval", tick_ms)
        # What has no index yet is looked at one by one; the index made meanwhile would find few of
        # the vectors that a filter allows, whatever a search asks for.
        self._config.set("queryNode.segcore.interimIndex.enableIndex", "false")
        names = [name for name in self._config.configurable_items if name.endswith("_port")]
        *ports, self._health_port = _free_ports(len(names) + 1)
        self._config.update(**dict(zip(names, ports, strict=True)))
        self._config.resolve()
        milvus._initialize_data_files(folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The host:port to connect to."""
        return f"127.0.0.1:{self._config.get('proxy_port')}"

    @property
    def resident_bytes(self) -> int:
        """Memory that the process holds."""
        assert self._process is not None
        statm = Path(f"/proc/{self._process.pid}/statm").read_text()
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def start(self) -> None:
        """Starts the process and waits until it is healthy."""
        binaries = self._folder / "bin"
        with (self._folder / "logs" / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                tied_to_this_process([str(binaries / "milvus"), "run", "standalone"]),
                cwd=self._folder,
                env={
                    **os.environ,
                    "DEPLOY_MODE": "STANDALONE",
                    "METRICS_PORT": str(self._health_port),
                    "MILVUS_RUN_DIR": str(self._folder / "run"),
                    "LD_LIBRARY_PATH": str(binaries),
                },
                stdout=log,
                stderr=log,
            )
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while not self._is_healthy():
            if time.monotonic() > deadline_s or self._process.poll() is not None:
                self.kill()
                raise TimeoutError(f"Milvus did not start; see {self._folder / 'logs'}")
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends the process at once, as a power cut would: its own tidy end may take half an hour.

        A repeat is safe.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def drop_collections(self, name: str) -> None:
        """Drops the collections whose names begin so, and their aliases.

        One that was killed shortly before may not be able to yet: they stay then.
        """
        import pymilvus  # its own target installs it

        with suppress(pymilvus.MilvusException):
            client = pymilvus.MilvusClient(f"http://{self.address}", timeout=10)
            for collection in client.list_collections():
                if collection.startswith(name):
                    for alias in client.list_aliases(collection)["aliases"]:
                        client.drop_alias(alias)
                    client.drop_collection(collection)
            client.close()

    def _is_healthy(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self._health_port}/healthz"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return b"OK" in answer.read()
        except OSError:
            return False


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
