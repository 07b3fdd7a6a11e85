"""What the metrics of a service come to."""

from __future__ import annotations

import math

import pytest
from prometheus_client import generate_latest

from twinshelf.client.doctor.metrics import read_samples
from twinshelf.client.web.live_figures import read_figures
from twinshelf.server.telemetry.metrics import Metrics

TEXT = """
process_start_time_seconds 1000
twinshelf_live_recall_ratio 0.99
twinshelf_call_seconds_bucket{method="Get",code="OK",le="0.1"} 8
twinshelf_call_seconds_bucket{method="Get",code="OK",le="0.2"} 10
twinshelf_call_seconds_bucket{method="Get",code="OK",le="+Inf"} 10
twinshelf_call_seconds_sum{method="Get",code="OK"} 1.0
twinshelf_call_seconds_bucket{method="Get",code="INTERNAL",le="0.1"} 0
twinshelf_call_seconds_bucket{method="Get",code="INTERNAL",le="0.2"} 0
twinshelf_call_seconds_bucket{method="Get",code="INTERNAL",le="+Inf"} 10
twinshelf_call_seconds_sum{method="Get",code="INTERNAL"} 9.0
twinshelf_stage_seconds_bucket{stage="search",le="0.1"} 0
twinshelf_stage_seconds_bucket{stage="search",le="+Inf"} 0
"""


def test_calls_are_added_up_over_their_codes() -> None:
    figures = read_figures(read_samples(TEXT), now_s=1010.0)
    (get,) = figures.calls
    assert (get.name, get.count, get.rate_per_s, get.mean_s) == ("Get", 20, 2.0, 0.5)
    assert get.median_s == pytest.approx(0.2) and get.slow_s == math.inf
    assert figures.live_recall == 0.99 and not figures.stages


def test_a_quantile_lies_within_its_bucket() -> None:
    (get,) = read_figures(read_samples("\n".join(TEXT.splitlines()[:7])), now_s=1010.0).calls
    assert get.median_s == pytest.approx(0.1 * 5 / 8)
    assert get.slow_s == pytest.approx(0.1 + 0.1 * 1.5 / 2)


def test_metrics_of_something_else_hold_no_figures() -> None:
    figures = read_figures(read_samples("up 1\n"))
    assert not figures.calls and math.isnan(figures.live_recall)


def test_the_metrics_of_the_service_are_read() -> None:
    metrics = Metrics(["MatchProduct"])
    for _ in range(3):
        metrics.record_call("MatchProduct", "OK", 0.02)
        metrics.observe_stage("search", 0.004)
    figures = read_figures(read_samples(generate_latest(metrics.registry).decode()))
    (call,), (stage,) = figures.calls, figures.stages
    assert (call.name, call.count, stage.name, stage.count) == ("MatchProduct", 3, "search", 3)
    assert call.mean_s == pytest.approx(0.02) and 0.01 < call.median_s <= 0.025
    assert 0.0025 < stage.slow_s <= 0.005 and call.rate_per_s > 0
