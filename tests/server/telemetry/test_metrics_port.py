"""The port of the metrics."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from twinshelf.server.telemetry.metrics import Metrics
from twinshelf.server.telemetry.metrics_port import MetricsPort

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def port(metrics: Metrics) -> Iterator[MetricsPort]:
    port = MetricsPort(metrics, "127.0.0.1:0")
    yield port
    port.stop()


def get(port: MetricsPort, path: str, **headers: str) -> tuple[int, str, str]:
    """Returns status, content type and text."""
    request = urllib.request.Request(f"http://127.0.0.1:{port.port}{path}", headers=headers)
    try:
        with OPENER.open(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def test_metrics_are_served_as_prometheus_reads_them(metrics: Metrics, port: MetricsPort) -> None:
    metrics.add_stuck_calls(4)
    status, content_type, text = get(port, "/metrics")
    assert status == 200 and content_type.startswith("text/plain")
    assert "twinshelf_stuck_calls 4.0" in text
    _, content_type, text = get(port, "/metrics", Accept="application/openmetrics-text")
    assert content_type.startswith("application/openmetrics-text") and text.endswith("# EOF\n")


def test_health_follows_the_encoder(metrics: Metrics, port: MetricsPort) -> None:
    assert get(port, "/healthz")[0] == 503
    metrics.set_encoder_up(True)
    assert get(port, "/healthz")[::2] == (200, "serving\n")


def test_other_paths_say_what_there_is(port: MetricsPort) -> None:
    status, _, text = get(port, "/")
    assert status == 404 and "/metrics" in text


def test_a_taken_port_is_a_sentence(metrics: Metrics, port: MetricsPort) -> None:
    address = f"127.0.0.1:{port.port}"
    with pytest.raises(OSError, match=f"cannot serve metrics on {address} .*in use"):
        MetricsPort(metrics, address)


@pytest.mark.parametrize("address", ["9100", "localhost:", "localhost:x"])
def test_an_address_without_a_port_is_refused(metrics: Metrics, address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        MetricsPort(metrics, address)


@pytest.mark.slow
def test_a_stopped_port_is_free_and_stopping_twice_is_safe(metrics: Metrics) -> None:
    first = MetricsPort(metrics, "127.0.0.1:0")
    first.stop()
    first.stop()
    second = MetricsPort(metrics, f"127.0.0.1:{first.port}")
    assert get(second, "/healthz")[0] == 503
    second.stop()


def test_a_reader_that_says_nothing_keeps_nobody_waiting(port: MetricsPort) -> None:
    with socket.create_connection(("127.0.0.1", port.port)):
        assert get(port, "/metrics")[0] == 200
