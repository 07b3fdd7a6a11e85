"""Spans of a call, from its caller to Triton, and a collector that is there, away, or hangs."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from twinshelf.server.telemetry.request_context import request_id, trace_id
from twinshelf.server.telemetry.tracing import Tracing, span, trace_headers

METHOD = "/twinshelf.v1.MatchingService/MatchProduct"
TRACE, PARENT = "ab" * 16, "cd" * 8
SAMPLED = ("traceparent", f"00-{TRACE}-{PARENT}-01")
UNSAMPLED = ("traceparent", f"00-{TRACE}-{PARENT}-00")


class Traced:
    """Tracing into memory."""

    def __init__(self, sample_ratio: float = 1.0) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracing = Tracing.through(self.exporter, sample_ratio=sample_ratio)

    def spans(self) -> dict[str, ReadableSpan]:
        """Closes, and returns the spans by name."""
        self.tracing.close(10)
        return {each.name: each for each in self.exporter.get_finished_spans()}


def parent_of(each: ReadableSpan) -> str:
    return f"{each.parent.span_id:016x}" if each.parent else ""


def id_of(each: ReadableSpan) -> str:
    return f"{each.context.span_id:016x}"


def test_the_spans_of_a_call_are_a_tree_below_its_caller() -> None:
    traced = Traced()
    with traced.tracing.call(METHOD, [("x", "y"), SAMPLED]) as call:
        with span("admission"):
            pass
        with span("encode image"):
            headers = trace_headers()
        call.end("OK")
    spans = traced.spans()
    root = spans[METHOD.lstrip("/")]
    assert f"{root.context.trace_id:032x}" == TRACE and parent_of(root) == PARENT
    assert parent_of(spans["admission"]) == parent_of(spans["encode image"]) == id_of(root)
    assert headers == {"traceparent": f"00-{TRACE}-{id_of(spans['encode image'])}-01"}
    assert root.attributes and root.attributes["rpc.response.status_code"] == "OK"


async def test_calls_side_by_side_and_their_tasks_do_not_mix() -> None:
    traced = Traced()

    async def work() -> str:
        with span("encode"):
            await asyncio.sleep(0)
            return trace_headers()["traceparent"].split("-")[1]

    async def call() -> tuple[str, str]:
        with traced.tracing.call(METHOD):
            await asyncio.sleep(0)
            return trace_id.get(), await asyncio.create_task(work())

    pairs = await asyncio.gather(*(asyncio.create_task(call()) for _ in range(10)))
    assert all(logged == sent for logged, sent in pairs)
    assert len({logged for logged, _ in pairs}) == 10
    assert len(traced.spans()) == 2


def test_logs_know_the_trace_only_during_the_call() -> None:
    traced = Traced()
    with traced.tracing.call(METHOD, [SAMPLED]):
        assert trace_id.get() == TRACE
    assert trace_id.get() == ""
    assert trace_headers() == {}
    traced.tracing.close(10)


def test_a_failure_is_marked_and_its_text_stays_inside() -> None:
    traced = Traced()
    token = request_id.set("request-1")
    with pytest.raises(ValueError, match="secret"), traced.tracing.call(METHOD) as call:
        call.end("INTERNAL")
        with span("encode"):
            raise ValueError("secret title")
    request_id.reset(token)
    spans = traced.spans()
    root = spans[METHOD.lstrip("/")]
    assert root.attributes and root.attributes["twinshelf.request_id"] == "request-1"
    assert not root.status.is_ok
    assert "secret" not in "".join(each.to_json() for each in spans.values())


def test_a_caller_may_leave_its_calls_out() -> None:
    traced = Traced()
    with traced.tracing.call(METHOD, [UNSAMPLED]), span("encode"):
        assert trace_headers() == {}
    assert traced.spans() == {}


def test_of_calls_without_a_parent_a_share_is_traced() -> None:
    traced = Traced(sample_ratio=0.0)
    with traced.tracing.call(METHOD):
        pass
    with traced.tracing.call("/a.B/C", [SAMPLED]):
        pass
    assert list(traced.spans()) == ["a.B/C"]


@pytest.mark.parametrize(
    "metadata",
    [
        [("traceparent", "nonsense")],
        [("traceparent", "00-" + "0" * 32 + "-" + "0" * 16 + "-01")],
        [("traceparent", b"\xff\x00")],
        [("traceparent", "0" * 100_000)],
        [SAMPLED, ("tracestate", "a=b," * 10_000)],
        [SAMPLED, ("tracestate", "\n=\x00,=,,;")],
    ],
)
def test_metadata_of_any_kind_is_taken_without_an_error(metadata: list[Any]) -> None:
    traced = Traced()
    with traced.tracing.call(METHOD, metadata) as call:
        assert len(trace_headers()["traceparent"]) == 55
        call.end("OK")
    assert len(traced.spans()) == 1


def test_without_a_collector_nothing_is_made_and_nothing_runs() -> None:
    before = threading.active_count()
    tracing = Tracing.to("")
    with tracing.call(METHOD, [SAMPLED]) as call, span("encode"):
        assert trace_headers() == {} and trace_id.get() == ""
        call.end("OK")
    tracing.close(1)
    assert threading.active_count() == before


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """An OTLP collector that keeps what it is sent."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.services: set[str] = set()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
        for resource in request.resource_spans:
            self.services |= {
                attribute.value.string_value
                for attribute in resource.resource.attributes
                if attribute.key == "service.name"
            }
            for scope in resource.scope_spans:
                self.names += [each.name for each in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    collector = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield collector, f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_spans_reach_a_collector(collector: tuple[Collector, str], scheme: str) -> None:
    keeper, address = collector
    tracing = Tracing.to(f"{scheme}{address}")
    with tracing.call(METHOD), span("search"):
        pass
    tracing.close(10)
    assert sorted(keeper.names) == ["search", METHOD.lstrip("/")]
    assert keeper.services == {"twinshelf"}


@pytest.mark.slow
def test_a_collector_that_is_away_hurts_no_call_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def logged() -> list[str]:
        return [
            each.getMessage()
            for each in caplog.records
            if each.name.startswith("twinshelf.server.")
        ]

    with caplog.at_level(logging.WARNING):
        tracing = Tracing.to("127.0.0.1:1")
        for _ in range(1500):  # batches enough to fail more than once
            with tracing.call(METHOD), span("search"):
                pass
        deadline_s = time.monotonic() + 20
        while not logged() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        tracing.close(2)
    assert logged() == ["traces are lost: the collector at 127.0.0.1:1 takes none"]


@pytest.mark.slow
def test_a_collector_that_hangs_does_not_keep_the_server_from_stopping() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracing = Tracing.to(f"127.0.0.1:{silent.getsockname()[1]}")
        with tracing.call(METHOD):
            pass
        started_s = time.monotonic()
        tracing.close(0.2)
        tracing.close(0.2)
        assert time.monotonic() - started_s < 3
