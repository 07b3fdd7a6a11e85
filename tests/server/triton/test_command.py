"""Tests of a running Triton that nobody can change the models of; by gRPC and by HTTP."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException

from tests.server.identity_repository import MODEL, write_identity_repository
from twinshelf.server.triton.command import RESTRICTED_HEADER, server_command
from twinshelf.server.triton.process import TritonServer
from twinshelf.server.triton.triton_config import TritonConfig

CODE = b"import os; os.abort()"
OVERRIDE = {"config": '{"backend": "python"}', "file:1/model.py": "aW1wb3J0IG9z"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    repository = write_identity_repository(tmp_path_factory.mktemp("models"))
    settings = TritonConfig(model_repository=repository, version=1, models=(MODEL,))
    with TritonServer(settings) as running:
        yield running


@pytest.mark.triton
@pytest.mark.parametrize(
    "call",
    [
        lambda c, h: c.load_model(MODEL, headers=h),
        lambda c, h: c.load_model(
            "foreign", h, config=OVERRIDE["config"], files={"file:1/model.py": CODE}
        ),
        lambda c, h: c.unload_model(MODEL, headers=h),
        lambda c, h: c.get_model_repository_index(headers=h),
        lambda c, h: c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}, headers=h),
        lambda c, h: c.get_trace_settings(headers=h),
        lambda c, h: c.update_log_settings({"log_verbose_level": 1}, headers=h),
        lambda c, h: c.register_system_shared_memory("region", "/twinshelf", 16, headers=h),
        lambda c, h: c.get_system_shared_memory_status(headers=h),
        lambda c, h: c.get_cuda_shared_memory_status(headers=h),
    ],
)
@pytest.mark.parametrize("headers", [{}, {f"triton-grpc-protocol-{RESTRICTED_HEADER}": "guess"}])
def test_grpc_refuses_what_could_change_models_or_read_memory(
    server: TritonServer,
    call: Callable[[triton.InferenceServerClient, dict[str, str]], object],
    headers: dict[str, str],
) -> None:
    with triton.InferenceServerClient(server.grpc_address) as client:
        with pytest.raises(InferenceServerException, match="protocol is restricted"):
            call(client, headers)
        assert client.is_model_ready(MODEL)
        assert not client.is_model_ready("foreign")


@pytest.mark.triton
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"/v2/repository/models/{MODEL}/load", {}),
        ("POST", "/v2/repository/models/foreign/load", {"parameters": OVERRIDE}),
        ("POST", f"/v2/repository/models/{MODEL}/unload", {}),
        ("POST", "/v2/repository/index", {}),
        ("POST", "/v2/trace/setting", {"trace_level": ["TIMESTAMPS"]}),
        ("POST", f"/v2/models/{MODEL}/trace/setting", {"trace_level": ["TIMESTAMPS"]}),
        ("POST", "/v2/logging", {"log_verbose_level": 1}),
        ("POST", "/v2/systemsharedmemory/region/a/register", {"key": "/a", "byte_size": 16}),
        ("GET", "/v2/systemsharedmemory/status", None),
        ("GET", "/v2/cudasharedmemory/status", None),
    ],
)
def test_http_refuses_what_could_change_models_or_read_memory(
    server: TritonServer, method: str, path: str, body: dict[str, object] | None
) -> None:
    connection = http.client.HTTPConnection(server.http_address, timeout=30)
    for headers in ({}, {RESTRICTED_HEADER: "guess"}):
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        assert answer.status == http.client.FORBIDDEN
        assert b"restricted" in answer.read()
    connection.close()


def test_the_key_is_another_one_for_each_start(tmp_path: Path) -> None:
    settings = TritonConfig(model_repository=tmp_path)
    places = {"binary": tmp_path, "backends": tmp_path, "models": tmp_path}
    first, second = (server_command(settings, **places, shm_prefix="p") for _ in range(2))

    assert "--model-control-mode=none" in first
    differing = [mine.partition("=")[0] for mine in first if mine not in second]
    assert differing == ["--grpc-restricted-protocol", "--http-restricted-api"]


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Takes traces over HTTP while the block runs; gives the address and what came."""
    taken: list[bytes] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802  (so the library calls it)
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(http.client.OK)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/traces", taken
        finally:
            server.shutdown()


@pytest.mark.triton
@pytest.mark.slow
def test_a_server_adds_to_the_traces_of_its_callers_and_begins_none(tmp_path: Path) -> None:
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    with collector() as (url, taken):
        settings = TritonConfig(
            model_repository=write_identity_repository(tmp_path),
            version=1,
            models=(MODEL,),
            trace_url=url,
        )
        with (
            TritonServer(settings) as server,
            triton.InferenceServerClient(server.grpc_address) as client,
        ):
            tensor = triton.InferInput("X", [1, 2], "FP32")
            tensor.set_data_from_numpy(np.zeros((1, 2), np.float32))
            deadline_s = time.monotonic() + 60
            # Again and again: what cannot be handed over at once is dropped.
            while not taken and time.monotonic() < deadline_s:
                for headers in ({}, {"traceparent": f"00-{trace}-{span}-01"}):
                    client.infer(MODEL, [tensor], headers=headers)
                time.sleep(0.5)
    told = b"".join(taken).decode()
    assert set(re.findall(r'"traceId":"(\w+)"', told)) == {trace}
    assert span in re.findall(r'"parentSpanId":"(\w+)"', told)
