"""NDCG with gains, against a loop and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from twinshelf.training.evaluation.graded_ndcg import JudgedPairs, graded_ndcg, random_ndcg

GAINS = np.array([1.0, 0.1, 0.01, 0.0])


def draw(query_count: int = 30, seed: int = 0) -> JudgedPairs:
    """Draws lists of 2 to 15 products each, their pairs in no order."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 16, query_count)
    queries = generator.permutation(np.repeat(np.arange(query_count), lengths))
    return JudgedPairs(
        query_count=query_count,
        queries=queries,
        scores=generator.normal(size=len(queries)),
        gains=generator.choice(GAINS, len(queries)),
    )


def slow_ndcg(scores: list[float], gains: list[float], k: int) -> float:
    def dcg(ordered: list[float]) -> float:
        return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(ordered[:k], start=1))

    ordered = [gain for _, gain in sorted(zip(scores, gains, strict=True), reverse=True)]
    best = dcg(sorted(gains, reverse=True))
    return dcg(ordered) / best if best else math.nan


@pytest.mark.parametrize("k", [1, 3, 10, None])
def test_it_equals_the_loop_and_scikit_learn(k: int | None) -> None:
    pairs = draw()
    found = graded_ndcg(pairs, k)
    for query, value in enumerate(found):
        rows = pairs.queries == query
        scores, gains = pairs.scores[rows], pairs.gains[rows]
        slow = slow_ndcg(scores.tolist(), gains.tolist(), k or len(gains))
        assert value == pytest.approx(slow, nan_ok=True)
        if gains.any():
            assert value == pytest.approx(ndcg_score([gains], [scores], k=k))
    assert not np.allclose(found, graded_ndcg(draw(seed=1), k), equal_nan=True)


def test_the_order_of_the_pairs_changes_nothing_not_even_among_equal_scores() -> None:
    pairs = draw()
    scores = np.round(pairs.scores)
    order = np.random.default_rng(1).permutation(len(scores))
    one, other = (
        JudgedPairs(
            query_count=30,
            queries=pairs.queries[rows],
            scores=scores[rows],
            gains=pairs.gains[rows],
        )
        for rows in (np.arange(len(scores)), order)
    )
    np.testing.assert_array_equal(graded_ndcg(one), graded_ndcg(other))


def test_equal_scores_are_taken_in_the_worst_order() -> None:
    pairs = JudgedPairs(
        query_count=1,
        queries=np.zeros(3, dtype=np.int64),
        scores=np.zeros(3),
        gains=np.array([1.0, 0.1, 0.0]),
    )
    worst = slow_ndcg([1, 2, 3], [1.0, 0.1, 0.0], 3)
    assert graded_ndcg(pairs)[0] == pytest.approx(worst)


def test_a_query_without_gain_has_no_value() -> None:
    pairs = JudgedPairs(
        query_count=3,
        queries=np.array([0, 2, 2]),
        scores=np.array([0.1, 0.2, 0.3]),
        gains=np.array([0.0, 0.0, 1.0]),
    )
    assert np.isnan(graded_ndcg(pairs)).tolist() == [True, True, False]
    assert np.isnan(random_ndcg(pairs)).tolist() == [True, True, False]


def test_a_random_order_has_its_mean() -> None:
    pairs = draw(query_count=5)
    generator = np.random.default_rng(0)
    drawn = [
        graded_ndcg(
            JudgedPairs(
                query_count=5,
                queries=pairs.queries,
                scores=generator.random(len(pairs.queries)),
                gains=pairs.gains,
            )
        )
        for _ in range(4000)
    ]
    # Over five standard errors of a mean of 4000 values from 0 to 1.
    np.testing.assert_allclose(random_ndcg(pairs), np.mean(drawn, axis=0), atol=0.03)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"queries": np.array([0, 2])}, "queries must be 0 to 1"),
        ({"scores": np.array([0.1, np.nan])}, "scores must be finite"),
        ({"gains": np.array([-1.0, 0.0])}, "gains must be 0 or more"),
        ({"gains": np.zeros(3)}, "must be"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(values: dict[str, np.ndarray], message: str) -> None:
    arrays = {"queries": np.array([0, 1]), "scores": np.zeros(2), "gains": np.zeros(2)}
    with pytest.raises(ValueError, match=message):
        JudgedPairs(query_count=2, **(arrays | values))


def test_no_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="k must be 1 or more"):
        graded_ndcg(draw(), 0)
