"""What Triton counts of its models, handed on to Prometheus beside our own metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from tritonclient.grpc.service_pb2 import ModelStatistics, ModelStatisticsResponse

# A repository of ours holds ten models or so; one that holds any number must not cost as many rows.
MODEL_LIMIT: Final = 64
BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64)
_PREPROCESSING: Final = "_preprocess"
_NS_PER_S: Final = 1e9


class TritonStatistics(Collector):
    """The statistics of Triton that were read last.

    Triton counts for itself: its numbers are handed on as they are, and start at zero again when it
    does, as those of any restarted process.
    """

    def __init__(self) -> None:
        """Holds nothing until the first statistics come."""
        self._models: tuple[ModelStatistics, ...] = ()

    def take(self, response: ModelStatisticsResponse) -> None:
        """Replaces what is handed on.

        Args:
            response: The answer of Triton's `ModelStatistics`; models beyond `MODEL_LIMIT` are left
                out.
        """
        self._models = tuple(response.model_stats)[:MODEL_LIMIT]

    def describe(self) -> Iterable[Metric]:
        """Returns the metrics without rows."""
        return _families(())

    def collect(self) -> Iterator[Metric]:
        """Yields the metrics with a row for each model."""
        yield from _families(self._models)


def _families(models: tuple[ModelStatistics, ...]) -> list[Metric]:
    inferences = CounterMetricFamily(
        "twinshelf_triton_inferences", "Rows that Triton computed.", labels=("model", "version")
    )
    executions = CounterMetricFamily(
        "twinshelf_triton_executions",
        "Batches that Triton computed; inferences / executions is the mean batch size.",
        labels=("model", "version"),
    )
    requests = CounterMetricFamily(
        "twinshelf_triton_requests", "Requests that Triton answered.", labels=("model", "version")
    )
    failures = CounterMetricFamily(
        "twinshelf_triton_failures", "Requests that failed in Triton.", labels=("model", "version")
    )
    stages = CounterMetricFamily(
        "twinshelf_triton_stage_seconds",
        "Time of requests in Triton, by stage; each request of a batch adds the whole time of the "
        "batch, so that stage_seconds / requests is the mean of a request. An ensemble holds that "
        "of its steps.",
        labels=("model", "version", "stage"),
    )
    batches = HistogramMetricFamily(
        "twinshelf_triton_batch_size", "Rows in a batch.", labels=("model", "version")
    )
    for model in models:
        labels = (model.name, model.version)
        times = model.inference_stats
        inferences.add_metric(labels, model.inference_count)
        executions.add_metric(labels, model.execution_count)
        requests.add_metric(labels, times.success.count)
        failures.add_metric(labels, times.fail.count)
        stages.add_metric((*labels, "queue"), times.queue.ns / _NS_PER_S)
        compute_ns = times.compute_input.ns + times.compute_infer.ns + times.compute_output.ns
        stage = "preprocess" if model.name.endswith(_PREPROCESSING) else "compute"
        stages.add_metric((*labels, stage), compute_ns / _NS_PER_S)
        batches.add_metric(labels, *_batch_histogram(model))
    return [inferences, executions, requests, failures, stages, batches]


def _batch_histogram(model: ModelStatistics) -> tuple[list[tuple[str, float]], float]:
    """Returns the cumulative buckets of the batch sizes of a model, and the sum of all rows."""
    counts = [(batch.batch_size, batch.compute_infer.count) for batch in model.batch_stats]
    buckets = [
        (str(float(bound)), float(sum(count for size, count in counts if size <= bound)))
        for bound in BATCH_SIZES
    ]
    buckets.append(("+Inf", float(sum(count for _, count in counts))))
    return buckets, float(sum(size * count for size, count in counts))
