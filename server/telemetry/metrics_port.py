"""A port of its own for the metrics, so that they can be read when the service cannot be reached.

/metrics is for Prometheus; /healthz answers 200 while encoder and catalogue can be used, else 503.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client.exposition import choose_encoder

from twinshelf.server.telemetry.metrics import Metrics

# Whoever asks for metrics and does not read on must not keep a thread for good.
_SILENCE_S: Final = 10.0


class MetricsPort:
    """Serves the metrics from threads of their own; they end with the process."""

    def __init__(self, metrics: Metrics, address: str) -> None:
        """Listens; use `stop` to end it.

        Args:
            metrics: What to serve.
            address: host:port to listen on; port 0 picks a free one.

        Raises:
            ValueError: If the address is not host:port.
            OSError: If the address cannot be listened on.
        """
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdecimal():
            raise ValueError(f"the address of the metrics must be host:port, got {address!r}")
        try:
            self._server = _Server(metrics, host, int(port))
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or error
            raise OSError(
                f"cannot serve metrics on {address} ({said}): stop what uses it, or choose "
                "another address with --metrics-address (empty for none)"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="metrics",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stops listening. A repeat is safe."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.metrics = metrics
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Binds without asking a name server for the name of this host, as the parent does."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: the reader has gone, and will read again."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENCE_S

    def do_GET(self) -> None:  # noqa: N802 - the name is that of the parent
        """Answers one request."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encode(self.server.metrics.registry))
        elif path == "/healthz":
            is_up = self.server.metrics.is_encoder_up
            status = HTTPStatus.OK if is_up else HTTPStatus.SERVICE_UNAVAILABLE
            text = b"serving\n" if is_up else b"not serving: encoder or catalogue cannot be used\n"
            self._answer(status, "text/plain; charset=utf-8", text)
        else:
            text = b"here are /metrics and /healthz\n"
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the parent's name
        """Says nothing: a scrape every few seconds is no news."""

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
