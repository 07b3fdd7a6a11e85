"""What the doctor reads from the metrics that the server really writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fake_deployment import FakeWeb, serve_web
from tests.server.fake_encoder import FakeEncoder
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.doctor.findings import Finding, State
from twinshelf.client.doctor.metrics import check_metrics, read_samples
from twinshelf.client.errors import TwinshelfError
from twinshelf.client.sync_client import Client
from twinshelf.server.config import ServerConfig
from twinshelf.server.serving import create_server
from twinshelf.server.telemetry.metrics import Metrics
from twinshelf.server.telemetry.metrics_port import MetricsPort
from twinshelf.server.triton.triton_config import free_ports

STATS = "GetCatalogStats"


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics([STATS])
    metrics.set_encoder_up(True)
    return metrics


@pytest.fixture
def endpoint(metrics: Metrics) -> Iterator[Endpoint]:
    port = MetricsPort(metrics, "127.0.0.1:0")
    yield Endpoint(host="127.0.0.1", port=port.port)
    port.stop()


def found(endpoint: Endpoint, metrics: Metrics) -> dict[str, Finding]:
    def call() -> None:
        metrics.record_call(STATS, "OK", 0.01)

    return {finding.name: finding for finding in check_metrics(endpoint, 2, call)}


def test_a_healthy_service_gives_no_cause(endpoint: Endpoint, metrics: Metrics) -> None:
    metrics.set_canary("text", 0.004)
    metrics.record_refusal("INVALID_REQUEST")
    findings = found(endpoint, metrics)
    assert all(finding.state is State.GOOD for finding in findings.values())
    assert findings["canary"].message == "text 4 ms"


def test_an_encoder_that_is_down_stuck_or_slow_is_named(
    endpoint: Endpoint, metrics: Metrics
) -> None:
    metrics.set_encoder_up(False)
    metrics.add_stuck_calls(3)
    metrics.set_canary("image", 2.5)
    findings = found(endpoint, metrics)
    assert findings["encoder up"].state is State.BAD
    assert findings["stuck calls"].state is State.BAD and "3" in findings["stuck calls"].message
    assert "make triton" in findings["stuck calls"].remedy
    assert findings["canary"].state is State.DOUBTFUL and "2500 ms" in findings["canary"].message


def test_refusals_that_no_caller_could_avoid_are_doubtful(
    endpoint: Endpoint, metrics: Metrics
) -> None:
    for reason in ("SERVER_BUSY", "SERVER_BUSY", "PRODUCT_NOT_FOUND"):
        metrics.record_refusal(reason)
    refusals = found(endpoint, metrics)["refusals"]
    assert refusals.state is State.DOUBTFUL
    assert refusals.message == "since its start: SERVER_BUSY 2"


def test_metrics_of_another_program_are_told_apart() -> None:
    with serve_web(FakeWeb({"/metrics": (200, "nv_inference_count 3\n")})) as address:
        (finding,) = check_metrics(Endpoint.parse(address), 2, int)
    assert finding.state is State.BAD and "Triton's metrics?" in finding.remedy


@pytest.mark.parametrize(
    ("error", "state"), [(None, State.DOUBTFUL), (TwinshelfError("away"), State.GOOD)]
)
def test_metrics_that_do_not_count_a_call_are_those_of_another_service(
    endpoint: Endpoint, metrics: Metrics, error: TwinshelfError | None, state: State
) -> None:
    metrics.record_call(STATS, "OK", 0.01)

    def call() -> None:
        if error is not None:
            raise error

    findings = check_metrics(endpoint, 2, call)
    assert findings[0].state is state
    assert ("another Twinshelf" in findings[0].message) == (error is None) == (len(findings) == 1)


@pytest.mark.slow
async def test_two_services_count_each_its_own_calls(tmp_path: Path) -> None:
    addresses, endpoints, servers = [], [], []
    for name in ("one", "other"):
        (metrics_port,) = free_ports("127.0.0.1", (0,))
        config = ServerConfig(
            address="127.0.0.1:0",
            metrics_address=f"127.0.0.1:{metrics_port}",
            catalogue=tmp_path / name,
        )
        server, port = await create_server(config, FakeEncoder())
        servers.append(server)
        addresses.append(f"127.0.0.1:{port}")
        endpoints.append(Endpoint(host="127.0.0.1", port=metrics_port))
    with Client(addresses[0]) as client:
        states = [
            (await asyncio.to_thread(check_metrics, endpoint, 2, client.stats))[0].state
            for endpoint in endpoints
        ]
    assert states == [State.GOOD, State.DOUBTFUL]
    for server in servers:
        await server.stop()


def test_a_port_where_nothing_listens_is_bad() -> None:
    (finding,) = check_metrics(Endpoint(host="127.0.0.1", port=1), 1, int)
    assert finding.state is State.BAD and "refused" in finding.message


def test_lines_of_another_kind_are_left_out() -> None:
    text = '# HELP a b\na 1\nb{x="1",y="a\\"b"} NaN\nnonsense\nc one\n{} 3\n'
    samples = read_samples(text)
    assert [(sample.name, dict(sample.labels)) for sample in samples] == [
        ("a", {}),
        ("b", {"x": "1", "y": 'a\\"b'}),
    ]
