"""Addresses, of which only those with a port are taken; and lines that go dead."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from unittest.mock import Mock

import pytest

from tests.client.fake_service import wait_until
from twinshelf.client import sync_calls
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.channel import CHANNEL_OPTIONS, check_address
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.errors import DeadlineError, unreachable_error
from twinshelf.client.records import Offer
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client
from twinshelf.server.config import ServerConfig
from twinshelf.server.serving import channel_options

WHOLE = ["localhost:50051", "10.0.0.1:1", "[::1]:50051", "my-host.example:443"]
RESOLVED = ["ipv4:10.0.0.1:1,10.0.0.2:1", "dns:///service:50051", "unix:/run/socket"]
BROKEN = ["", "localhost", ":50051", "localhost:", "::1:50051", "http://localhost:50051", "a:1,b:1"]


@pytest.mark.parametrize("address", [*WHOLE, *RESOLVED])
def test_an_address_with_a_port_is_taken(address: str) -> None:
    assert check_address(address) == address


def test_a_server_that_is_back_is_tried_before_the_last_repeat_of_a_call() -> None:
    policy, least = RetryPolicy(), Mock(uniform=lambda lowest, _: lowest)
    waits_s = [policy.backoff_s(count, least) for count in range(1, policy.attempt_count)]
    longest_ms = int(dict(CHANNEL_OPTIONS)["grpc.max_reconnect_backoff_ms"])
    assert 1.2 * longest_ms / 1000 < sum(waits_s)  # gRPC waits up to a fifth longer


@pytest.mark.parametrize("address", BROKEN)
def test_any_other_is_refused_by_both_clients(address: str) -> None:
    for make in (Client, AsyncClient):
        with pytest.raises(ValueError, match="address must be HOST:PORT, such as"):
            make(address)


def test_of_what_grpc_says_of_an_address_the_cause_is_told() -> None:
    for said, cause in (
        ("errors resolving a:1: [C-ares status is not ARES_SUCCESS name=a: Domain not found]",
         "at a:1 (Domain not found): start"),
        ("failed to connect to all addresses; last error: ipv4:1.2.3.4:1: refused",
         "at a:1 (refused): start"),
    ):  # fmt: skip
        assert cause in unreachable_error("a:1", said).message


def test_a_call_without_an_end_is_answered(address: str) -> None:
    with Client(address, timeout_s=math.inf) as client:
        assert client.stats().change_sequence > 0
        (answer,) = client.match_many([Offer(title="tea")])
        assert answer.error is None


class Line:
    """Leads to a service. What was connected before it goes dead stays so, and nothing passes."""

    def __init__(self, address: str) -> None:
        self._service = Endpoint.parse(address)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._is_dead = threading.Event()
        self._sockets = [self._listener]
        threading.Thread(target=self._connect, daemon=True).start()

    def go_dead(self) -> None:
        """Cuts all connections that there are, of which neither side learns."""
        self._is_dead.set()
        self._is_dead = threading.Event()

    def close(self) -> None:
        """Ends all connections."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _connect(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                service = socket.create_connection((self._service.host, self._service.port))
                self._sockets += (caller, service)
                for ends in ((caller, service), (service, caller)):
                    arguments = (*ends, self._is_dead)
                    threading.Thread(target=self._carry, args=arguments, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, dead: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not dead.is_set():
                    target.sendall(data)


@pytest.fixture
def line(address: str) -> Iterator[Line]:
    line = Line(address)
    yield line
    line.close()


@pytest.mark.slow
def test_a_line_that_has_gone_dead_is_left_for_another(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = ("grpc.keepalive_time_ms", "grpc.keepalive_timeout_ms", "grpc.http2.ping_timeout_ms")
    quick = tuple((name, 100 if name in times else value) for name, value in CHANNEL_OPTIONS)
    monkeypatch.setattr(sync_calls, "CHANNEL_OPTIONS", quick)
    with Client(line.address, timeout_s=1) as client:

        def is_answered() -> bool:
            """Asks once."""
            try:
                return client.stats().change_sequence > 0
            except DeadlineError:
                return False

        assert is_answered()
        line.go_dead()
        wait_until(is_answered)


def test_the_service_allows_the_pings_of_its_clients() -> None:
    sent, allowed = dict(CHANNEL_OPTIONS), dict(channel_options(ServerConfig()))
    # Those of a watch, in which nothing else passes; gRPC allows one in five minutes.
    least_ms = allowed["grpc.http2.min_ping_interval_without_data_ms"]
    assert least_ms <= int(sent["grpc.keepalive_time_ms"]) / 2
    assert sent["grpc.http2.max_pings_without_data"] == 0
