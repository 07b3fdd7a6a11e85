"""What the doctor reads from the metrics that the server really writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.fake_deployment import FakeWeb, serve_web
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.doctor.findings import Finding, State
from twinshelf.client.doctor.metrics import check_metrics, read_samples
from twinshelf.server.telemetry.metrics import Metrics
from twinshelf.server.telemetry.metrics_port import MetricsPort


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.set_encoder_up(True)
    return metrics


@pytest.fixture
def endpoint(metrics: Metrics) -> Iterator[Endpoint]:
    port = MetricsPort(metrics, "127.0.0.1:0")
    yield Endpoint(host="127.0.0.1", port=port.port)
    port.stop()


def found(endpoint: Endpoint) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_metrics(endpoint, 2)}


def test_a_healthy_service_gives_no_cause(endpoint: Endpoint, metrics: Metrics) -> None:
    metrics.set_canary("text", 0.004)
    metrics.record_refusal("INVALID_REQUEST")
    findings = found(endpoint)
    assert all(finding.state is State.GOOD for finding in findings.values())
    assert findings["canary"].message == "text 4 ms"


def test_an_encoder_that_is_down_stuck_or_slow_is_named(
    endpoint: Endpoint, metrics: Metrics
) -> None:
    metrics.set_encoder_up(False)
    metrics.add_stuck_calls(3)
    metrics.set_canary("image", 2.5)
    findings = found(endpoint)
    assert findings["encoder up"].state is State.BAD
    assert findings["stuck calls"].state is State.BAD and "3" in findings["stuck calls"].message
    assert "make triton" in findings["stuck calls"].remedy
    assert findings["canary"].state is State.DOUBTFUL and "2500 ms" in findings["canary"].message


def test_refusals_that_no_caller_could_avoid_are_doubtful(
    endpoint: Endpoint, metrics: Metrics
) -> None:
    for reason in ("SERVER_BUSY", "SERVER_BUSY", "PRODUCT_NOT_FOUND"):
        metrics.record_refusal(reason)
    refusals = found(endpoint)["refusals"]
    assert refusals.state is State.DOUBTFUL
    assert refusals.message == "since its start: SERVER_BUSY 2"


def test_metrics_of_another_program_are_told_apart() -> None:
    with serve_web(FakeWeb({"/metrics": (200, "nv_inference_count 3\n")})) as address:
        (finding,) = check_metrics(Endpoint.parse(address), 2)
    assert finding.state is State.BAD and "Triton's metrics?" in finding.remedy


def test_a_port_where_nothing_listens_is_bad() -> None:
    (finding,) = check_metrics(Endpoint(host="127.0.0.1", port=1), 1)
    assert finding.state is State.BAD and "refused" in finding.message


def test_lines_of_another_kind_are_left_out() -> None:
    text = '# HELP a b\na 1\nb{x="1",y="a\\"b"} NaN\nnonsense\nc one\n{} 3\n'
    samples = read_samples(text)
    assert [(sample.name, dict(sample.labels)) for sample in samples] == [
        ("a", {}),
        ("b", {"x": "1", "y": 'a\\"b'}),
    ]
