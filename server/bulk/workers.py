"""Who embeds the batches: this process, or workers of Ray on this machine or a cluster."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Protocol

import pyarrow as pa

from twinshelf.server.bulk.embedding_worker import EmbeddingWorker, PublishedEncoder
from twinshelf.server.bulk.product_batch import ProductBatch

CORES_OF_WORKER: Final = 2
# Batches that a worker has at hand, so that it never waits for the next one.
_AHEAD: Final = 2
# Batches on their way, for each worker: a slow one holds the others up only behind so many.
_WINDOW: Final = 8
# A worker may die by chance; one that dies so often dies of what it was given.
_ATTEMPTS: Final = 3
_START_TIMEOUT_S: Final = 600


class WorkerDiedError(RuntimeError):
    """Workers did not start, or died over the same batch again and again; says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """How many workers there are, and where.

    Attributes:
        count: Workers; None for one of `CORES_OF_WORKER` cores each.
        address: A cluster of Ray; empty for this machine.
    """

    count: int | None = None
    address: str = ""


class Workers(Protocol):
    """Embeds batches; results come in the order of the batches."""

    def embed(self, batches: Iterable[ProductBatch]) -> Iterator[tuple[ProductBatch, pa.Table]]:
        """Yields each batch with its table; reads only a few batches ahead."""


@contextmanager
def start_workers(encoder: PublishedEncoder, config: WorkerConfig) -> Iterator[Workers]:
    """Starts workers and stops them; one on this machine is this process, and needs no Ray.

    Raises:
        ValueError: If Ray is needed, and is not installed.
        TwinshelfError: If the encoder cannot be used.
    """
    has_ray = find_spec("ray") is not None
    count = config.count
    if count is None and not config.address:
        count = max(1, _core_count() // CORES_OF_WORKER) if has_ray else 1
    if count == 1 and not config.address:
        yield _ThisProcess(encoder)
        return
    if not has_ray:
        raise ValueError(
            "several workers need Ray, which is not installed: uv pip install -e '.[bulk]', or "
            "--workers 1"
        )
    with _ray_workers(encoder, count, config.address) as workers:
        yield workers


def _core_count() -> int:
    return len(os.sched_getaffinity(0))


class _ThisProcess:
    """One worker, here."""

    def __init__(self, encoder: PublishedEncoder) -> None:
        self._worker = EmbeddingWorker(encoder, thread_count=0)

    def embed(self, batches: Iterable[ProductBatch]) -> Iterator[tuple[ProductBatch, pa.Table]]:
        """Embeds one batch after the other, while the next one is read."""
        coming = iter(batches)
        with ThreadPoolExecutor(1, thread_name_prefix="batch-reader") as reader:
            reading = reader.submit(next, coming, None)
            while (batch := reading.result()) is not None:
                reading = reader.submit(next, coming, None)
                yield batch, self._worker.embed(batch.rows)


@contextmanager
def _ray_workers(
    encoder: PublishedEncoder, count: int | None, address: str
) -> Iterator[RayWorkers]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        ray.init(address, **quiet)
    else:
        ray.init(num_cpus=max(_core_count(), count or 1), include_dashboard=False, **quiet)
    try:
        resources = ray.cluster_resources()
        count = count or room_for_workers(ray.nodes())
        # No cores at all where machines come as they are asked for.
        cores = CORES_OF_WORKER if address else int(resources.get("CPU", 0)) // count
        actor = ray.remote(
            num_cpus=cores,
            num_gpus=share_of_gpus(int(resources.get("GPU", 0)), count),
            max_restarts=-1,
            max_task_retries=_ATTEMPTS - 1,
        )
        actors = [actor(EmbeddingWorker).remote(encoder, cores) for _ in range(count)]
        _wait_until_ready(actors)
        # Ray tells of dead workers on standard output, which is for the result.
        with redirect_stdout(sys.stderr):
            yield RayWorkers(actors)
    finally:
        ray.shutdown()


def room_for_workers(nodes: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many workers find room on the machines of a cluster; one where none does yet.

    A worker is on one machine: two with three cores each have room for two.
    """
    cores = [int(each["Resources"].get("CPU", 0)) for each in nodes if each["Alive"]]
    return max(1, sum(count // CORES_OF_WORKER for count in cores))


def share_of_gpus(gpu_count: int, worker_count: int) -> float:
    """Returns what part of a GPU each worker has, such that all of them find room."""
    return 1 / math.ceil(worker_count / gpu_count) if gpu_count else 0.0


def _wait_until_ready(actors: Sequence[Any]) -> None:
    import ray

    try:
        ray.get([actor.__ray_ready__.remote() for actor in actors], timeout=_START_TIMEOUT_S)
    except ray.exceptions.GetTimeoutError:
        raise WorkerDiedError(
            f"{len(actors)} workers did not start within {_START_TIMEOUT_S} s; the cluster has "
            f"{ray.cluster_resources().get('CPU', 0):g} cores"
        ) from None
    except ray.exceptions.RayActorError as error:
        reason = str(error).splitlines()[-1]
        raise WorkerDiedError(f"a worker cannot start: {reason}") from error


class RayWorkers:
    """Workers of Ray; a worker that dies is started again, and its batches with it."""

    def __init__(self, actors: Sequence[Any]) -> None:
        """Takes the actors."""
        self._actors = actors

    def embed(self, batches: Iterable[ProductBatch]) -> Iterator[tuple[ProductBatch, pa.Table]]:
        """Gives batches to whoever is free."""
        import ray

        coming = iter(batches)
        places = deque(actor for _ in range(_AHEAD) for actor in self._actors)
        busy: dict[Any, Any] = {}
        waiting: deque[tuple[ProductBatch, Any]] = deque()
        while True:
            while places and len(waiting) < _WINDOW * len(self._actors):
                batch = next(coming, None)
                if batch is None:
                    break
                answer = places[0].embed.remote(batch.rows)
                busy[answer] = places.popleft()
                waiting.append((batch, answer))
            if not waiting:
                return
            for answer in ray.wait(list(busy), num_returns=1)[0]:
                places.append(busy.pop(answer))
            while waiting and waiting[0][1] not in busy:
                batch, answer = waiting.popleft()
                yield batch, _result_of(answer, batch)


def _result_of(answer: Any, batch: ProductBatch) -> pa.Table:
    import ray

    try:
        return ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:  # of memory, or with the machine that had the answer
        first, last = batch.rows[0].row_number, batch.rows[-1].row_number
        raise WorkerDiedError(
            f"workers died {_ATTEMPTS} times over the rows {first} to {last} of input "
            f"{batch.input_place + 1}: {error}"
        ) from error
