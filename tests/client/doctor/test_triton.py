"""What the doctor says of a Triton."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.client.fake_deployment import FakeWeb, serve, serve_web, triton_answers
from tests.client.fake_service import ENCODER
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.doctor.findings import Finding, State
from twinshelf.client.doctor.triton import TritonTarget, check_triton

LOAD = "/v2/repository/models/twinshelf_doctor_finds_no_such_model/load"


@pytest.fixture
def web() -> FakeWeb:
    return FakeWeb(triton_answers())


@pytest.fixture
def target(web: FakeWeb) -> Iterator[TritonTarget]:
    with serve() as grpc_address, serve_web(web) as http_address:
        yield TritonTarget(
            grpc=Endpoint.parse(grpc_address), http=Endpoint.parse(http_address), timeout_s=2
        )


def found(target: TritonTarget, *digests: str) -> dict[str, Finding]:
    reached = digests or (ENCODER.digest,)
    return {finding.name: finding for finding in check_triton(target, reached)}


def test_all_is_well(target: TritonTarget) -> None:
    findings = found(target)
    assert {name: finding.state for name, finding in findings.items()} == dict.fromkeys(
        ("triton", "models", "contract", "control"), State.GOOD
    )
    assert "2.51.0" in findings["triton"].message


def test_a_triton_that_is_loading_is_not_ready(target: TritonTarget, web: FakeWeb) -> None:
    web.answers["/v2/health/ready"] = (400, "")
    web.answers["/v2/models/text_encoder/ready"] = (400, "")
    findings = found(target)
    assert findings["triton"].state is State.BAD and "not ready" in findings["triton"].message
    assert findings["models"].message == "not ready: text_encoder"


def test_another_encoder_than_that_of_the_service_is_named(target: TritonTarget) -> None:
    contract = found(target, "sha256:" + "b" * 64)["contract"]
    assert contract.state is State.BAD
    assert "sha256:aaaaaaaaaaaa…" in contract.message
    assert "sha256:bbbbbbbbbbbb…" in contract.message


def test_without_a_service_the_digest_is_told(target: TritonTarget) -> None:
    (contract,) = (each for each in check_triton(target, ()) if each.name == "contract")
    assert contract.state is State.GOOD


def test_any_encoder_that_the_service_reaches_will_do(target: TritonTarget) -> None:
    serving = "sha256:" + "b" * 64
    assert found(target, serving, ENCODER.digest)["contract"].state is State.GOOD


@pytest.mark.parametrize("config", ["{}", "no json", '{"parameters": null}'])
def test_a_model_without_contract_is_not_published(
    target: TritonTarget, web: FakeWeb, config: str
) -> None:
    web.answers["/v2/models/image_encoder/config"] = (200, config)
    contract = found(target)["contract"]
    assert contract.state is State.BAD and "image_encoder" in contract.message
    assert "make export" in contract.remedy


def test_encoders_of_different_versions_are_found(target: TritonTarget, web: FakeWeb) -> None:
    others = triton_answers("sha256:" + "c" * 64)
    web.answers["/v2/models/text_encoder/config"] = others["/v2/models/text_encoder/config"]
    assert "not published together" in found(target)["contract"].message


@pytest.mark.parametrize(
    ("status", "text", "state"),
    [
        (403, '{"error":"This API is restricted, expecting header \'admin\'"}', State.GOOD),
        (503, '{"error":"explicit model load / unload is not allowed"}', State.GOOD),
        (404, "", State.GOOD),
        (500, '{"error":"failed to load, failed to poll from model repository"}', State.DOUBTFUL),
        (200, "", State.DOUBTFUL),
    ],
)
def test_open_model_control_is_seen_from_what_it_says(
    target: TritonTarget, web: FakeWeb, status: int, text: str, state: State
) -> None:
    web.answers[LOAD] = (status, text)
    assert found(target)["control"].state is state
    assert web.posted == [LOAD]


def test_a_wrong_or_missing_port_is_a_finding(target: TritonTarget) -> None:
    swapped = TritonTarget(grpc=target.http, http=target.grpc, timeout_s=2)
    (finding,) = check_triton(swapped, ())
    assert finding.state is State.BAD and "HTTP/1.1" in finding.message
    nobody = Endpoint(host="127.0.0.1", port=1)
    (finding,) = check_triton(TritonTarget(grpc=nobody, http=target.http, timeout_s=2), ())
    assert finding.state is State.BAD and "make triton" in finding.remedy
    (finding,) = check_triton(TritonTarget(grpc=target.grpc, http=nobody, timeout_s=2), ())
    assert finding.state is State.DOUBTFUL and "--triton-http" in finding.remedy


def test_http_that_is_grpc_is_a_finding(target: TritonTarget) -> None:
    (finding,) = check_triton(TritonTarget(grpc=target.grpc, http=target.grpc, timeout_s=2), ())
    assert finding.state is State.DOUBTFUL


@pytest.mark.slow
def test_a_triton_that_is_frozen_is_to_be_restarted(target: TritonTarget) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        frozen = Endpoint(host="127.0.0.1", port=silent.getsockname()[1])
        quick = TritonTarget(grpc=frozen, http=target.http, timeout_s=0.2)
        (finding,) = check_triton(quick, ())
    assert finding.state is State.BAD and "hangs" in finding.message
    assert "Restart" in finding.remedy
