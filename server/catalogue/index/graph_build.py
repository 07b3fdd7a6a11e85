"""Building a graph into a file, a large one in a process of its own.

usearch holds the interpreter's lock while it loads and saves a graph: a second for each million of
vectors, in which nothing would be answered.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from usearch.index import BatchMatches, Index

from twinshelf.server.catalogue.index.graph import IndexConfig, Rows
from twinshelf.server.catalogue.index.snapshot_file import map_vectors

_BUILD_BLOCK = 1024
_SELF_SEARCH_COUNT = 8
_SHALLOW_EXPANSION = 16
_NICENESS = 10
_LOOK_INTERVAL_S = 0.1


class BuildStoppedError(Exception):
    """A graph that was not built to its end, as the service stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPlan:
    """What is built, and from what.

    Attributes:
        vectors: File of the N vectors; their rows become the keys.
        dimension: Length of a vector.
        target: File that is written.
        base: File with the graph of the first `base_count` vectors; None builds all.
        base_count: Vectors that `base` holds, else 0.
        config: How to build.
    """

    vectors: Path
    dimension: int
    target: Path
    base: Path | None
    base_count: int
    config: IndexConfig


def build_graph(plan: GraphPlan, stopped: threading.Event) -> None:
    """Writes the graph through to the disk, all threads at work.

    Args:
        plan: What is built.
        stopped: Ends the process that builds a large one.

    Raises:
        BuildStoppedError: If it was stopped.
        RuntimeError: If the process that builds it fails; the message says why.
    """
    count = plan.vectors.stat().st_size // (2 * plan.dimension)
    if count <= plan.config.apart_limit:
        _build(plan)
        return
    command = [sys.executable, "-m", __name__, json.dumps(asdict(plan), default=str)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=_LOOK_INTERVAL_S)
                break
            if stopped.is_set():
                process.kill()
                raise BuildStoppedError(f"the graph of {count:,} vectors was not built to its end")
    if process.returncode != 0:
        raise RuntimeError(
            f"the process that builds {plan.target.name} ended with {process.returncode}: "
            + errors[-500:].strip()
        )


def _build(plan: GraphPlan, parent: int | None = None) -> None:
    vectors = map_vectors(plan.vectors, plan.dimension)
    config = plan.config
    graph = config.new_graph(plan.dimension)
    if plan.base is not None:
        graph.load(plan.base)
    for first in range(plan.base_count, len(vectors), _BUILD_BLOCK):
        if parent is not None and os.getppid() != parent:
            raise RuntimeError("the server has gone")
        block = vectors[first : first + _BUILD_BLOCK]
        keys = np.arange(first, first + len(block), dtype=np.uint64)
        graph.add(keys, block, threads=config.build_thread_count)
    _add_lost(graph, vectors, config, plan.base_count)
    graph.save(plan.target)
    with plan.target.open("rb") as file:
        os.fsync(file.fileno())


def _add_lost(
    graph: Index, vectors: npt.NDArray[np.float16], config: IndexConfig, start: int
) -> None:
    """Adds again, one by one, what no search returns: adding in parallel loses some nodes."""
    for first in range(start, len(vectors), _BUILD_BLOCK):
        rows = np.arange(first, min(first + _BUILD_BLOCK, len(vectors)))
        # Nearly all are found by a shallow search, which takes a third of the time.
        for expansion in (_SHALLOW_EXPANSION, config.search_expansion(len(graph))):
            if len(rows):
                graph.expansion_search = expansion  # type: ignore[misc]
                rows = rows[_is_lost(graph, vectors[rows], rows, config.build_thread_count)]
        if len(rows):
            graph.add(rows.astype(np.uint64), vectors[rows], threads=1)


def _is_lost(
    graph: Index, block: npt.NDArray[np.float16], rows: Rows, thread_count: int
) -> npt.NDArray[np.bool_]:
    """Tells which of N vectors a search for themselves does not return."""
    # Of one query alone usearch answers in another form.
    queries = block if len(block) > 1 else np.repeat(block, 2, axis=0)
    found = graph.search(queries, min(_SELF_SEARCH_COUNT, len(graph)), threads=thread_count)
    assert isinstance(found, BatchMatches)
    keys, distances = found.keys[: len(rows)], found.distances[: len(rows)]
    is_lost = ~(keys == rows[:, np.newaxis]).any(axis=1)
    # Of many equal vectors only some are returned; these are not lost.
    return np.asarray(is_lost & (distances[:, -1] > distances[:, 0]))


def _plan_from_json(text: str) -> GraphPlan:
    values = json.loads(text)
    values["config"] = IndexConfig(**values["config"])
    for name in ("vectors", "target", "base"):
        values[name] = values[name] and Path(values[name])
    return GraphPlan(**values)


if __name__ == "__main__":
    os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    _build(_plan_from_json(sys.argv[1]), parent=os.getppid())
