"""Triton's own numbers, as Prometheus gets them."""

from __future__ import annotations

import pytest
from tritonclient.grpc.service_pb2 import ModelStatistics, ModelStatisticsResponse

from twinshelf.server.telemetry.metrics import Metrics
from twinshelf.server.telemetry.triton_statistics import MODEL_LIMIT


def statistics(name: str, batches: dict[int, int]) -> ModelStatistics:
    """Statistics of a model that ran so many batches of each size."""
    model = ModelStatistics(
        name=name,
        version="3",
        inference_count=sum(size * count for size, count in batches.items()),
        execution_count=sum(batches.values()),
    )
    model.inference_stats.success.count = 7
    model.inference_stats.fail.count = 2
    model.inference_stats.queue.ns = 500_000_000
    model.inference_stats.compute_input.ns = 250_000_000
    model.inference_stats.compute_infer.ns = 1_000_000_000
    model.inference_stats.compute_output.ns = 250_000_000
    for size, count in batches.items():
        batch = model.batch_stats.add(batch_size=size)
        batch.compute_infer.count = count
    return model


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    models = [statistics("image_tower", {1: 4, 3: 2}), statistics("image_preprocess", {1: 5})]
    metrics.record_triton_statistics(ModelStatisticsResponse(model_stats=models))
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"twinshelf_triton_{name}", {"version": "3"} | labels)


def test_the_mean_batch_size_can_be_had_from_the_counts(metrics: Metrics) -> None:
    assert value(metrics, "inferences_total", model="image_tower") == 10
    assert value(metrics, "executions_total", model="image_tower") == 6
    assert value(metrics, "failures_total", model="image_tower") == 2


def test_times_are_in_seconds_by_stage(metrics: Metrics) -> None:
    stages = (
        ("image_tower", "queue"),
        ("image_tower", "compute"),
        ("image_preprocess", "preprocess"),
    )
    seconds = [
        value(metrics, "stage_seconds_total", model=model, stage=stage) for model, stage in stages
    ]
    assert seconds == [0.5, 1.5, 1.5]
    assert value(metrics, "stage_seconds_total", model="image_tower", stage="preprocess") is None


def test_the_mean_time_of_a_request_can_be_had_from_the_counts(metrics: Metrics) -> None:
    # Each request of a batch adds the time of the whole batch, however many rows it has.
    assert value(metrics, "requests_total", model="image_tower") == 7


def test_batch_sizes_are_a_histogram(metrics: Metrics) -> None:
    counts = {
        bound: value(metrics, "batch_size_bucket", model="image_tower", le=bound)
        for bound in ("1.0", "2.0", "4.0", "+Inf")
    }
    assert counts == {"1.0": 4, "2.0": 4, "4.0": 6, "+Inf": 6}
    assert value(metrics, "batch_size_sum", model="image_tower") == 10


def test_later_statistics_take_the_place_of_earlier_ones(metrics: Metrics) -> None:
    metrics.record_triton_statistics(
        ModelStatisticsResponse(model_stats=[statistics("image_tower", {1: 1})])
    )
    assert value(metrics, "inferences_total", model="image_tower") == 1
    assert value(metrics, "inferences_total", model="image_preprocess") is None


def test_a_repository_of_many_models_makes_a_bounded_number_of_rows(metrics: Metrics) -> None:
    models = [statistics(f"model_{index}", {1: 1}) for index in range(500)]
    metrics.record_triton_statistics(ModelStatisticsResponse(model_stats=models))
    families = {family.name: family for family in metrics.registry.collect()}
    assert len(families["twinshelf_triton_inferences"].samples) == MODEL_LIMIT
