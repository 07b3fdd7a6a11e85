"""What the service counts."""

from __future__ import annotations

import math
import threading

import pytest

from twinshelf.server.telemetry.metrics import STAGES, Metrics, Tracked


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(methods=("MatchProduct", "DeleteProducts"))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"twinshelf_{name}", labels)


def row_count(metrics: Metrics) -> int:
    return sum(len(family.samples) for family in metrics.registry.collect())


def test_a_call_is_counted_by_method_and_code(metrics: Metrics) -> None:
    metrics.record_call("/twinshelf.v1.MatchingService/MatchProduct", "OK", 0.004)
    metrics.record_call("MatchProduct", "OK", 0.2)
    labels = {"method": "MatchProduct", "code": "OK"}
    assert value(metrics, "call_seconds_count", **labels) == 2
    assert value(metrics, "call_seconds_sum", **labels) == pytest.approx(0.204)
    assert value(metrics, "call_seconds_bucket", le="0.005", **labels) == 1


def test_names_that_a_caller_makes_up_make_no_new_rows(metrics: Metrics) -> None:
    metrics.record_call("first", "NO_SUCH_CODE", 0.1)
    metrics.record_refusal("FIRST")
    before = row_count(metrics)
    for index in range(1000):
        metrics.record_call(f"/a.B/method{index}", f"CODE{index}", 0.1)
        metrics.record_refusal(f"REASON{index}")
    assert row_count(metrics) == before
    assert value(metrics, "call_seconds_count", method="other", code="UNKNOWN") == 1001
    assert value(metrics, "refusals_total", reason="other") == 1001


def test_every_reason_of_an_error_has_a_row_from_the_start(metrics: Metrics) -> None:
    assert value(metrics, "refusals_total", reason="SERVER_BUSY") == 0
    assert value(metrics, "refusals_total", reason="DEADLINE_TOO_SHORT") == 0
    metrics.record_refusal("INTERNAL")
    assert value(metrics, "refusals_total", reason="INTERNAL") == 1


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_measured_also_when_it_fails(metrics: Metrics, stage: str) -> None:
    with metrics.stage(stage):  # type: ignore[arg-type] # one of STAGES
        pass
    with pytest.raises(KeyError), metrics.stage(stage):  # type: ignore[arg-type]
        raise KeyError
    metrics.observe_stage(stage, 2.0)  # type: ignore[arg-type]
    assert value(metrics, "stage_seconds_count", stage=stage) == 3
    assert (value(metrics, "stage_seconds_sum", stage=stage) or 0) >= 2


def test_what_is_not_known_is_no_number(metrics: Metrics) -> None:
    for name in ("live_recall_ratio", "index_vectors", "held_bytes"):
        assert math.isnan(value(metrics, name) or 0)
    assert math.isnan(value(metrics, "canary_seconds", modality="image") or 0)


def test_what_is_said_is_shown(metrics: Metrics) -> None:
    metrics.add_stuck_calls(3)
    metrics.set_encoder_up(True)
    metrics.set_canary("text", 0.25)
    metrics.track(Tracked.LIVE_RECALL, lambda: 0.99)
    assert value(metrics, "stuck_calls") == 3
    assert value(metrics, "encoder_up") == 1 and metrics.is_encoder_up
    assert value(metrics, "canary_seconds", modality="text") == 0.25
    assert value(metrics, "live_recall_ratio") == 0.99
    metrics.set_encoder_up(False)
    assert value(metrics, "encoder_up") == 0 and not metrics.is_encoder_up


def test_only_the_serving_encoder_is_named(metrics: Metrics) -> None:
    metrics.set_encoder(version=1, digest="sha256:a")
    metrics.set_encoder(version=2, digest="sha256:b")
    assert value(metrics, "encoder_info", version="2", digest="sha256:b") == 1
    assert value(metrics, "encoder_info", version="1", digest="sha256:a") is None


def test_a_tracked_number_is_read_at_each_scrape(metrics: Metrics) -> None:
    held = [10]
    metrics.track(Tracked.BYTES_HELD, lambda: held[0])
    assert value(metrics, "held_bytes") == 10
    held[0] = 20
    assert value(metrics, "held_bytes") == 20


def test_a_tracked_number_that_cannot_be_read_leaves_the_others(metrics: Metrics) -> None:
    def fail() -> float:
        raise OSError("gone")

    metrics.track(Tracked.INDEX_SIZE, fail)
    metrics.track(Tracked.PRODUCT_COUNT, lambda: 7)
    assert math.isnan(value(metrics, "index_vectors") or 0)
    assert value(metrics, "products") == 7


def test_two_servers_of_one_process_do_not_mix() -> None:
    first, second = Metrics(), Metrics()
    first.add_stuck_calls(1)
    assert value(second, "stuck_calls") == 0


def test_threads_lose_no_count(metrics: Metrics) -> None:
    def count() -> None:
        for _ in range(500):
            metrics.record_call("MatchProduct", "OK", 0.001)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "call_seconds_count", method="MatchProduct", code="OK") == 2000


def test_the_process_is_measured(metrics: Metrics) -> None:
    memory = metrics.registry.get_sample_value("process_resident_memory_bytes")
    assert memory is not None and memory > 1e6
