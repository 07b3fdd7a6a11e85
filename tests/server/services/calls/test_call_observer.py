"""What is told of a call."""

from __future__ import annotations

from unittest.mock import Mock

import grpc
import pytest

from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.telemetry.metrics import Metrics
from twinshelf.server.telemetry.tracing import Tracing


@pytest.mark.parametrize(
    ("path", "counted"),
    [
        ("/twinshelf.v1.MatchingService/MatchProduct", "MatchProduct"),
        ("/x.y/MatchProduct", "other"),
        ("MatchProduct", "other"),
    ],
)
async def test_a_path_that_a_caller_makes_up_counts_under_no_real_method(
    path: str, counted: str
) -> None:
    metrics = Metrics(["MatchProduct"])
    observer = CallObserver(metrics=metrics, tracing=Tracing(), slow_call_s=1.0)
    context = Mock(spec=grpc.aio.ServicerContext)
    context.invocation_metadata.return_value = ()
    with observer.follow(path, context, is_stream=False):
        pass
    labels = {"method": counted, "code": "OK"}
    assert metrics.registry.get_sample_value("twinshelf_call_seconds_count", labels) == 1
