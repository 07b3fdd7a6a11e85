"""Graphs: built in parallel without lost nodes, mapped, and searched by many threads."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twinshelf.server.catalogue.index.graph import IndexConfig, MappedGraph
from twinshelf.server.catalogue.index.graph_build import BuildStoppedError, GraphPlan, build_graph

CONFIG = IndexConfig(slot_count=2, build_thread_count=8)
COUNT, DIMENSION = 1500, 16


def vectors(seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def mapped(
    rows: np.ndarray,
    path: Path,
    base: MappedGraph | None = None,
    base_count: int = 0,
    config: IndexConfig = CONFIG,
    stopped: threading.Event | None = None,
) -> MappedGraph:
    stored = path.with_suffix(".vectors")
    stored.write_bytes(rows.tobytes())
    build_graph(
        GraphPlan(
            vectors=stored,
            dimension=DIMENSION,
            target=path,
            base=None if base is None else base.path,
            base_count=base_count,
            config=config,
        ),
        stopped or threading.Event(),
    )
    return MappedGraph(path, DIMENSION, config)


def missing(graph: MappedGraph, rows: np.ndarray) -> list[int]:
    return [
        row
        for row, vector in enumerate(rows)
        if row not in graph.search(vector[np.newaxis].astype(np.float32), 8)[0]
    ]


@pytest.mark.slow
def test_a_parallel_build_loses_no_vector(tmp_path: Path) -> None:
    rows = vectors()
    assert not missing(mapped(rows, tmp_path / "graph"), rows)


@pytest.mark.slow
def test_a_graph_that_was_extended_holds_old_and_new(tmp_path: Path) -> None:
    rows = vectors(1)
    base = mapped(rows[:1000], tmp_path / "base")
    assert not missing(mapped(rows, tmp_path / "graph", base, 1000), rows)
    assert not missing(base, rows[:1000])


def test_equal_vectors_are_not_taken_for_lost(tmp_path: Path) -> None:
    rows = np.repeat(vectors(2)[:1], 100, axis=0)
    graph = CONFIG.new_graph(DIMENSION)
    graph.view(mapped(rows, tmp_path / "graph").path)
    assert len(graph) == 100


@pytest.mark.slow
def test_more_searches_than_slots_wait_for_one_another(tmp_path: Path) -> None:
    rows = vectors(3)
    graph = mapped(rows, tmp_path / "graph")
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda row: graph.search(row[np.newaxis], 4), rows))
    assert all(row in near for row, (near,) in enumerate(found))


def test_queries_that_are_searched_together_find_what_they_find_alone(tmp_path: Path) -> None:
    rows = vectors(4)
    graph = mapped(rows, tmp_path / "graph")
    together = graph.search(rows[:9], 6)
    assert [near.tolist() for near in together] == [
        graph.search(row[np.newaxis], 6)[0].tolist() for row in rows[:9]
    ]
    # A row that was found lost and added again may come twice.
    everything = graph.search(rows[:2], 2 * COUNT)
    assert [len(set(near.tolist())) for near in everything] == [COUNT, COUNT]


@pytest.mark.slow
def test_a_graph_that_is_built_in_a_process_of_its_own_holds_all(tmp_path: Path) -> None:
    rows, config = vectors(5), replace(CONFIG, apart_limit=100)
    base = mapped(rows[:1000], tmp_path / "base", config=config)
    assert not missing(mapped(rows, tmp_path / "graph", base, 1000, config), rows)


@pytest.mark.slow
def test_a_build_that_fails_in_its_process_says_why(tmp_path: Path) -> None:
    rows, config = vectors(6), replace(CONFIG, apart_limit=100)
    base = mapped(rows[:1000], tmp_path / "base")
    base.path.unlink()
    with pytest.raises(RuntimeError, match="that builds graph ended with 1: "):
        mapped(rows, tmp_path / "graph", base, 1000, config)


def test_a_build_in_a_process_of_its_own_can_be_stopped(tmp_path: Path) -> None:
    rows, config, stopped = vectors(7), replace(CONFIG, apart_limit=100), threading.Event()
    stopped.set()
    with pytest.raises(BuildStoppedError, match="1,500 vectors was not built to its end"):
        mapped(rows, tmp_path / "graph", config=config, stopped=stopped)
    assert not (tmp_path / "graph").exists()


def test_a_search_of_more_vectors_weighs_more_candidates() -> None:
    counts = (0, 1_000, 100_000, 1_000_000, 10_000_000)
    assert [CONFIG.search_expansion(count) for count in counts] == [96, 96, 96, 163, 277]


def test_onnx_runtime_may_be_loaded_after_usearch() -> None:
    script = f"import {MappedGraph.__module__}, onnxruntime"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
