"""Metrics against slow obvious versions, scikit-learn and torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, ndcg_score
from torchmetrics.functional.retrieval import (
    retrieval_average_precision,
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_precision,
    retrieval_recall,
)

from twinshelf.training.retrieval import metrics
from twinshelf.training.retrieval.metrics import RelevantRanks, pairs_by_group, rows_of_same_product

KS = (1, 3, 10, 40)


def ranks_of(relevance: np.ndarray) -> RelevantRanks:
    """Whole rankings, best rank first (Q, G)."""
    queries, places = np.nonzero(relevance)
    return RelevantRanks.of_pairs(len(relevance), queries, places + 1)


@pytest.fixture
def relevance() -> np.ndarray:
    """Rankings of 37 items, with 0 to many relevant ones."""
    generator = np.random.default_rng(1)
    shares = generator.choice([0.0, 0.03, 0.2, 0.9], size=60)
    relevance = generator.random((60, 37)) < shares[:, None]
    relevance[7] = False
    relevance[8] = True
    return relevance


def slow_values(row: np.ndarray, k: int) -> dict[str, float]:
    """All metrics of one ranking, written as their definitions read."""
    total = sum(row)
    if total == 0:
        return dict.fromkeys(("P", "R", "F1", "NDCG", "Acc", "AP"), math.nan)
    top = list(row[:k])
    hits = sum(top)
    precision, recall = hits / k, hits / total
    gain = sum(1 / math.log2(rank + 1) for rank, right in enumerate(top, 1) if right)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, total) + 1))
    precisions = [sum(row[:rank]) / rank for rank, right in enumerate(row, 1) if right]
    return {
        "P": precision,
        "R": recall,
        "F1": 2 * precision * recall / (precision + recall) if hits else 0.0,
        "NDCG": gain / ideal,
        "Acc": float(hits > 0),
        "AP": sum(precisions) / total,
    }


def values_at(found: RelevantRanks, k: int) -> dict[str, np.ndarray]:
    return {
        "P": metrics.precision_at(found, k),
        "R": metrics.recall_at(found, k),
        "F1": metrics.f1_at(found, k),
        "NDCG": metrics.ndcg_at(found, k),
        "Acc": metrics.accuracy_at(found, k),
        "AP": metrics.average_precision(found),
    }


@pytest.mark.parametrize("k", KS)
def test_metrics_equal_their_slow_definitions(relevance: np.ndarray, k: int) -> None:
    found = values_at(ranks_of(relevance), k)
    for name, values in found.items():
        slow = [slow_values(row, k)[name] for row in relevance]
        np.testing.assert_allclose(values, slow, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("k", (1, 3, 10))
def test_metrics_equal_torchmetrics_where_a_query_is_not_lone(
    relevance: np.ndarray, k: int
) -> None:
    found = values_at(ranks_of(relevance), k)
    scores = torch.linspace(1, 0.1, relevance.shape[1])  # torchmetrics drops 0
    for query in np.flatnonzero(relevance.any(axis=1)):
        target = torch.from_numpy(relevance[query])
        expected = {
            "P": retrieval_precision(scores, target, top_k=k),
            "R": retrieval_recall(scores, target, top_k=k),
            "NDCG": retrieval_normalized_dcg(scores, target, top_k=k),
            "Acc": retrieval_hit_rate(scores, target, top_k=k),
            "AP": retrieval_average_precision(scores, target),
        }
        for name, value in expected.items():  # torchmetrics computes in single precision
            assert found[name][query] == pytest.approx(float(value), abs=1e-6), name


@pytest.mark.slow
def test_average_precision_and_ndcg_equal_scikit_learn(relevance: np.ndarray) -> None:
    found = ranks_of(relevance)
    precision, gain = metrics.average_precision(found), metrics.ndcg_at(found, 10)
    scores = np.linspace(1, 0, relevance.shape[1])
    for query in np.flatnonzero(relevance.any(axis=1)):
        expected = average_precision_score(relevance[query], scores)
        assert precision[query] == pytest.approx(expected, abs=1e-12)
        expected = ndcg_score([relevance[query].astype(float)], [scores], k=10)
        assert gain[query] == pytest.approx(expected, abs=1e-12)


def test_lone_queries_are_counted_and_left_out_of_means() -> None:
    found = ranks_of(np.array([[1, 0], [0, 0], [0, 1]], dtype=bool))
    assert found.no_relevant_count == 1
    assert np.isnan(metrics.recall_at(found, 1)[1])
    assert metrics.mean(metrics.recall_at(found, 1)) == 0.5


def test_the_mean_of_lone_queries_only_is_nan() -> None:
    found = ranks_of(np.zeros((3, 4), dtype=bool))
    for values in values_at(found, 2).values():
        assert math.isnan(metrics.mean(values))


def test_recall_and_accuracy_differ_with_several_relevant_items() -> None:
    found = ranks_of(np.array([[1, 0, 1, 0]], dtype=bool))
    assert metrics.recall_at(found, 1)[0] == 0.5
    assert metrics.accuracy_at(found, 1)[0] == 1.0


def test_pairs_are_those_of_one_group_without_the_query_itself() -> None:
    generator = np.random.default_rng(3)
    queries = [str(number) for number in generator.integers(0, 8, 30)] + [""]
    gallery = [str(number) for number in generator.integers(0, 8, 25)] + [""]
    excluded = np.full(31, -1)
    excluded[:10] = generator.integers(0, 26, 10)
    found = pairs_by_group(queries, gallery, excluded)
    expected = [
        (query, item)
        for query in range(31)
        for item in range(26)
        if queries[query] and queries[query] == gallery[item] and item != excluded[query]
    ]
    assert list(zip(found.queries.tolist(), found.items.tolist(), strict=True)) == expected


def test_pairs_of_a_block_count_queries_from_its_start() -> None:
    found = pairs_by_group(["a", "b", "a"], ["a", "b"])
    rows, items = found.of_queries(1, 3)
    assert rows.tolist() == [0, 1]
    assert items.tolist() == [1, 0]


def test_rows_of_the_same_product_are_found_by_identifier() -> None:
    assert rows_of_same_product(["x", "b"], ["a", "b"]).tolist() == [-1, 1]
