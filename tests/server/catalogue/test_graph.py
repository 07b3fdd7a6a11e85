"""Graphs: built in parallel without lost nodes, mapped, and searched by many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from twinshelf.server.catalogue.graph import IndexSettings, MappedGraph, build_graph

SETTINGS = IndexSettings(slot_count=2, build_thread_count=8)
COUNT, DIMENSION = 1500, 16


def vectors(seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def mapped(
    rows: np.ndarray, path: Path, base: MappedGraph | None = None, start: int = 0
) -> MappedGraph:
    build_graph(rows, SETTINGS, base, start).save(path)
    return MappedGraph(path, DIMENSION, SETTINGS)


def missing(graph: MappedGraph, rows: np.ndarray) -> list[int]:
    return [
        row
        for row, vector in enumerate(rows)
        if row not in graph.search(vector.astype(np.float32), 8)
    ]


def test_a_parallel_build_loses_no_vector(tmp_path: Path) -> None:
    rows = vectors()
    assert not missing(mapped(rows, tmp_path / "graph"), rows)


def test_a_graph_that_was_extended_holds_old_and_new(tmp_path: Path) -> None:
    rows = vectors(1)
    base = mapped(rows[:1000], tmp_path / "base")
    assert not missing(mapped(rows, tmp_path / "graph", base, 1000), rows)
    assert not missing(base, rows[:1000])


def test_equal_vectors_are_not_taken_for_lost(tmp_path: Path) -> None:
    rows = np.repeat(vectors(2)[:1], 100, axis=0)
    assert len(build_graph(rows, SETTINGS, None, 0)) == 100


def test_more_searches_than_slots_wait_for_one_another(tmp_path: Path) -> None:
    rows = vectors(3)
    graph = mapped(rows, tmp_path / "graph")
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda row: graph.search(row.astype(np.float32), 4), rows))
    assert all(row in each for row, each in enumerate(found))
