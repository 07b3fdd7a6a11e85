"""What a `tritonserver` of ours serves, where it listens, and how long things may take."""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinshelf.server.triton.plan import ServingPlan
from twinshelf.server.triton.repository import ENCODERS

UNIX_ABSTRACT: Final = "unix-abstract:"


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonConfig:
    """What to serve, and where.

    Attributes:
        model_repository: Folder of models.
        version: Encoder version to serve; None loads the models by their plain `config.pbtxt`.
        models: Models to load; Triton adds those that they are made of.
        plan: How the models of the version share the cores; None leaves it as it was published.
        host: Address to listen on.
        grpc_host: Where gRPC listens in place of `host`: unix-abstract:NAME. Empty for `host`.
        grpc_port: Port of gRPC; 0 takes a free one.
        http_port: Port of HTTP; 0 takes a free one.
        metrics_port: Port of the Prometheus metrics; 0 takes a free one.
        ready_timeout_s: How long loading and warm-up may take.
        stop_timeout_s: How long a clean stop may take before the server is killed.
        log_path: File for the server's log; None puts it into a temporary folder.
        trace_url: Where OTLP over HTTP is taken: the server adds to the traces of its callers, and
            begins none of its own. Empty for no traces.

    Raises:
        ValueError: If a value is out of range.
    """

    model_repository: Path
    version: int | None = None
    models: tuple[str, ...] = ENCODERS
    plan: ServingPlan | None = None
    host: str = "127.0.0.1"
    grpc_host: str = ""
    grpc_port: int = 0
    http_port: int = 0
    metrics_port: int = 0
    ready_timeout_s: float = 120.0
    stop_timeout_s: float = 15.0
    log_path: Path | None = None
    trace_url: str = ""

    @property
    def host_of_grpc(self) -> str:
        """Where gRPC listens."""
        return self.grpc_host or self.host

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("grpc_port", "http_port", "metrics_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise ValueError(f"{name} must be 0 to 65535, got {getattr(self, name)}")
        for name in ("ready_timeout_s", "stop_timeout_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.grpc_host and not re.fullmatch(rf"{UNIX_ABSTRACT}[\w.-]{{1,64}}", self.grpc_host):
            raise ValueError(
                f"grpc_host must be empty or {UNIX_ABSTRACT} and a name of letters, digits, '.', "
                f"'_' and '-', got {self.grpc_host!r}"
            )
        if self.version is not None and self.version < 1:
            raise ValueError(f"version must be 1 or more, got {self.version}")
        if not self.models:
            raise ValueError("models must name one model or more")


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens on a port, or on a free one for 0.

    Args:
        host: A name, an IP address, or unix-abstract:NAME, of which every port is a socket.
        port: 0 to 65535; of unix-abstract:NAME 1 or more.

    Raises:
        OSError: If the port is taken.
    """
    address: str | tuple[str, int] = (host, port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if host.startswith(UNIX_ABSTRACT):
        family, address = socket.AF_UNIX, f"\0{host.removeprefix(UNIX_ABSTRACT)}:{port}"
    listener = socket.socket(family)
    try:
        # As servers do: a connection of an earlier run that still lingers does not matter.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


def free_ports(host: str, stated: tuple[int, ...]) -> list[int]:
    """Returns the stated ports, with free ones for those that are 0."""
    with contextlib.ExitStack() as open_sockets:
        ports = []
        for port in stated:
            if port == 0:  # all are held until the last is chosen, so that no two are equal
                listener = open_sockets.enter_context(listen(host, 0))
                port = listener.getsockname()[1]
            ports.append(port)
        return ports
