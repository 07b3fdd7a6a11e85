"""Halves hold whole clusters."""

from __future__ import annotations

from training.evaluation.tuning import split_halves

CLUSTERS = [f"g{number % 21}" for number in range(100)]


def test_a_cluster_never_stands_on_both_sides() -> None:
    half = split_halves(CLUSTERS, seed=1)
    first = {name for name, inside in zip(CLUSTERS, half, strict=True) if inside}
    second = {name for name, inside in zip(CLUSTERS, half, strict=True) if not inside}
    assert (len(first), len(second)) == (10, 11)
    assert not first & second


def test_the_halves_depend_on_the_seed_only() -> None:
    assert (split_halves(CLUSTERS, 1) == split_halves(CLUSTERS, 1)).all()
    assert (split_halves(CLUSTERS, 1) != split_halves(CLUSTERS, 2)).any()
    assert (split_halves(CLUSTERS[::-1], 1) == split_halves(CLUSTERS, 1)[::-1]).all()
