"""`twinshelf doctor` on whole deployments, sound and broken."""

from __future__ import annotations

import io
import json
import shutil
import socket
import time
from pathlib import Path
from typing import Any, TextIO

import pytest
from google.rpc import code_pb2

from tests.client.conftest import QUICK_RETRIES
from tests.client.fake_deployment import (
    FakeWeb,
    make_authority,
    serve,
    serve_web,
    triton_answers,
)
from tests.client.fake_service import UNAVAILABLE, FakeService, make_status
from twinshelf.client.cli import main
from twinshelf.client.credentials import ClientTls
from twinshelf.client.doctor.deployment import (
    DoctorPlan,
    check_disk,
    find,
    run_doctor,
)
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.doctor.findings import Finding, State
from twinshelf.client.doctor.service import ServiceTarget
from twinshelf.client.records import Product
from twinshelf.client.sync_client import Client


@pytest.fixture(autouse=True)
def _no_usual_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what runs on this machine out of the tests."""
    monkeypatch.setattr("twinshelf.client.doctor.deployment.DEFAULT_TRITON", "127.0.0.1:1")
    monkeypatch.setattr("twinshelf.client.doctor.deployment.DEFAULT_METRICS", "127.0.0.1:1")


def stock(service: FakeService, address: str) -> None:
    with Client(address, timeout_s=30) as client:
        assert all(not answer.error for answer in client.upsert([Product(product_id="tea")]))


def examine(address: str, **terms: Any) -> dict[str, Finding]:
    """Runs the doctor; returns what it finds by name."""
    tls = terms.pop("tls", None)
    key = terms.pop("api_key", None)
    timeout_s = terms.pop("timeout_s", 30)
    service = ServiceTarget(address=address, tls=tls, api_key=key, timeout_s=timeout_s)
    plan = DoctorPlan(service=service, **terms)
    with Client(
        address, timeout_s=timeout_s, retry_policy=QUICK_RETRIES, tls=tls, api_key=key
    ) as client:
        return {finding.name: finding for finding in find(client, plan)}


def test_a_sound_deployment_is_all_well_but_for_what_is_stale_or_damaged(
    service: FakeService,
) -> None:
    service.damaged_product_count = 2
    with serve(service) as address, serve() as grpc_address:
        stock(service, address)
        stored = dict(service.products)
        with serve_web(FakeWeb(triton_answers())) as http_address:
            findings = examine(
                address,
                triton=Endpoint.parse(grpc_address),
                triton_http=Endpoint.parse(http_address),
            )
    bad = [name for name, finding in findings.items() if finding.state is State.BAD]
    assert bad == ["stale", "damaged"]  # the fake has one product that is stale
    assert findings["damaged"].message.startswith("2 products set aside")
    assert "twinshelf index FILE" in findings["stale"].remedy
    assert findings["encoder"].message == "version 3, sha256:aaaaaaaaaaaa…"
    assert "matched in" in findings["photo"].message and "matched in" in findings["text"].message
    assert findings["contract"].state is State.GOOD
    assert service.calls["MatchProduct"] == 2 and service.products == stored


def test_the_triton_of_a_further_encoder_is_checked_as_well(service: FakeService) -> None:
    with serve(service) as address, serve() as grpc_address:
        with serve_web(FakeWeb(triton_answers("sha256:" + 64 * "b"))) as http_address:
            findings = examine(
                address,
                other_triton=Endpoint.parse(grpc_address),
                other_triton_http=Endpoint.parse(http_address),
            )
    assert findings["2nd models"].state is State.GOOD and "models" not in findings
    assert "sha256:bbbbbbbbbbbb" in findings["2nd contract"].message
    with serve(service) as address:
        findings = examine(address, other_triton=Endpoint.parse("localhost:1"))
    assert findings["2nd triton"].state is State.BAD


def test_two_tritons_of_one_host_need_a_port_of_http_each() -> None:
    service = ServiceTarget(address="127.0.0.1:1", tls=None, timeout_s=1)
    with pytest.raises(ValueError, match=r"--other-triton-http is needed: .* is on 127\.0\.0\.1"):
        DoctorPlan(service=service, other_triton=Endpoint.parse("127.0.0.1:8011"))


def test_an_empty_catalogue_is_said_to_be_empty(service: FakeService) -> None:
    with serve(service) as address:
        findings = examine(address)
    assert findings["catalogue"].state is State.DOUBTFUL
    assert "empty catalogue" in findings["text"].message


def test_where_nothing_listens_the_doctor_says_what_to_start() -> None:
    findings = examine("127.0.0.1:1")
    assert findings["address"].state is State.BAD
    assert "make up" in findings["address"].remedy
    assert set(findings) == {"address", "service"}


@pytest.mark.parametrize("address", ["a..b:50051", "dns:///127.0.0.1"])
def test_an_address_that_leads_nowhere_is_a_finding(address: str) -> None:
    assert examine(address)["address"].state is State.BAD


def test_a_port_of_another_program_is_a_hint() -> None:
    with serve_web(FakeWeb()) as address:
        finding = examine(address)["address"]
    assert finding.state is State.BAD and "another program" in finding.remedy
    with serve() as address:
        finding = examine(address)["catalogue"]
    assert finding.state is State.BAD and "port of Triton" in finding.remedy


def test_tls_on_one_side_alone_is_found(service: FakeService, tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    tls = ClientTls(ca_file=authority.ca_file)
    with serve(service, credentials=authority.credentials) as address:
        finding = examine(address)["tls"]
        assert "speaks TLS, and it was spoken to in clear" in finding.message
        assert "--tls" in finding.remedy
        findings = examine(address, tls=tls)
        assert "by TLS" in findings["address"].message
        assert findings["health"].state is findings["text"].state is State.GOOD
    with serve(service) as address:
        assert "Leave out --tls" in examine(address, tls=tls)["tls"].remedy


def test_a_certificate_of_another_authority_is_found(service: FakeService, tmp_path: Path) -> None:
    ours, theirs = make_authority(tmp_path / "ours"), make_authority(tmp_path / "theirs")
    with serve(service, credentials=theirs.credentials) as address:
        finding = examine(address, tls=ClientTls(ca_file=ours.ca_file))["tls"]
    assert finding.state is State.BAD and "--ca-file" in finding.remedy


def test_a_service_that_wants_a_certificate_of_ours_says_so(
    service: FakeService, tmp_path: Path
) -> None:
    authority = make_authority(tmp_path)
    credentials = authority.mutual_credentials
    alone = ClientTls(ca_file=authority.ca_file)
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_file.write_bytes(authority.cert)
    key_file.write_bytes(authority.key)
    shown = ClientTls(ca_file=authority.ca_file, cert_file=cert_file, key_file=key_file)
    with serve(service, credentials=credentials) as address:
        finding = examine(address, tls=alone)["tls"]
        assert "asks for a certificate" in finding.message and "--cert-file" in finding.remedy
        findings = examine(address, tls=shown)
    assert findings["address"].state is findings["health"].state is State.GOOD


@pytest.mark.slow
def test_a_service_that_says_nothing_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        finding = examine(f"127.0.0.1:{silent.getsockname()[1]}")["address"]
    assert finding.state is State.BAD and "hangs" in finding.message


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (code_pb2.UNAUTHENTICATED, "TWINSHELF_API_KEY"),
        (code_pb2.PERMISSION_DENIED, "scope read"),
    ],
)
def test_a_key_that_does_not_do_is_said_to_be_at_fault(
    service: FakeService, code: int, words: str
) -> None:
    service.failures = [make_status(code, "this key is not enough")]
    with serve(service) as address:
        finding = examine(address)["catalogue"]
    assert finding.state is State.BAD and words in finding.remedy
    assert "request-1" in finding.message


def test_what_the_caller_may_do_is_told(service: FakeService) -> None:
    class ReadOnly(FakeService):
        def UpsertProducts(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802 - the proto's
            self._abort(context, make_status(code_pb2.PERMISSION_DENIED, "scope write is needed"))

    class Watched(FakeService):
        def DeleteProducts(self, request: Any, context: Any) -> Any:  # noqa: N802 - the proto's
            raise AssertionError("an audit log shows it as a delete")

    with serve(Watched()) as address:
        assert "may read and write" in examine(address)["key"].message
    with serve(ReadOnly()) as address:
        assert "may read, not write" in examine(address)["key"].message


def test_a_service_without_encoder_is_not_well(service: FakeService) -> None:
    service.failures = [UNAVAILABLE] * 3
    with serve(service, is_healthy=False) as address:
        findings = examine(address)
    assert findings["health"].state is State.BAD
    assert findings["health"].message == "server, MatchingService, CatalogService: NOT_SERVING"
    assert "Triton is away" in findings["catalogue"].message
    assert "make triton" in findings["catalogue"].remedy


@pytest.mark.slow
def test_a_service_that_hangs_takes_bounded_time(service: FakeService) -> None:
    service.hangs = True
    started_s = time.monotonic()
    with serve(service) as address:
        findings = examine(address, timeout_s=2)
    assert findings["catalogue"].state is State.BAD and "in time" in findings["catalogue"].message
    assert time.monotonic() - started_s < 15


def test_metrics_and_disk_are_looked_at_when_told(service: FakeService, tmp_path: Path) -> None:
    nowhere = Endpoint(host="127.0.0.1", port=1)
    with serve(service) as address:
        findings = examine(address, metrics=nowhere, triton=nowhere, catalogue=tmp_path)
        assert not {"metrics", "triton", "disk"} & set(examine(address))
    assert findings["metrics"].state is findings["triton"].state is State.BAD
    assert "GiB free" in findings["disk"].message


def test_a_disk_that_is_full_or_cannot_be_read_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_disk(tmp_path / "none").state is State.BAD
    usage = type(shutil.disk_usage(tmp_path))
    for free, state in ((10**8, State.BAD), (10**9, State.DOUBTFUL), (10**11, State.GOOD)):
        full = usage(10**12, 10**12 - free, free)
        monkeypatch.setattr(
            "twinshelf.client.doctor.deployment.shutil.disk_usage", lambda folder, full=full: full
        )
        assert check_disk(tmp_path).state is state


def test_options_become_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[DoctorPlan] = []

    def run(_client: Client, plan: DoctorPlan, _stream: TextIO, *, as_json: bool) -> bool:
        plans.append(plan)
        return as_json

    monkeypatch.setattr("twinshelf.client.doctor.deployment.run_doctor", run)
    options = ["--triton", "t:1", "--triton-http", "t:2", "--metrics", "m:3"]
    options += ["--other-triton", "o:4", "--other-triton-http", "o:5"]
    assert main(["--address", "127.0.0.1:1", "doctor", *options]) == 1
    assert main(["--json", "doctor", "--address", "127.0.0.1:1", *options]) == 0
    for plan in plans:
        assert (str(plan.triton), str(plan.triton_http), str(plan.metrics)) == ("t:1", "t:2", "m:3")
        assert (str(plan.other_triton), str(plan.other_triton_http)) == ("o:4", "o:5")
        assert plan.service == ServiceTarget(address="127.0.0.1:1", timeout_s=5)
    assert main(["doctor", "--triton", "nowhere"]) == 2 and len(plans) == 2


def test_the_run_says_whether_something_is_broken(service: FakeService) -> None:
    def run(address: str, *, as_json: bool) -> tuple[bool, str]:
        stream = io.StringIO()
        plan = DoctorPlan(service=ServiceTarget(address=address, timeout_s=2))
        with Client(address, retry_policy=QUICK_RETRIES) as client:
            return run_doctor(client, plan, stream, as_json=as_json), stream.getvalue()

    class Fresh(FakeService):
        def GetCatalogStats(self, request: Any, context: Any) -> Any:  # noqa: N802 - the proto's
            stats = super().GetCatalogStats(request, context)
            stats.stale_product_count = 0
            return stats

    with serve(Fresh()) as address:
        is_well, text = run(address, as_json=True)
        *_, counts = map(json.loads, text.splitlines())
        assert is_well and counts["bad_count"] == 0
    is_well, text = run("127.0.0.1:1", as_json=False)
    assert not is_well and text.splitlines()[-1] == "1 check failed"
