"""Gradient boosting over pair features."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import f1_score

from tests.training.pairs.made_pairs import make_pairs
from twinshelf.training.catalogues.product import Pair, Product
from twinshelf.training.pairs import scorer as scorer_module
from twinshelf.training.pairs.features import Cosines, feature_matrix
from twinshelf.training.pairs.read_record import pair_tokens
from twinshelf.training.pairs.scorer import (
    PairScorer,
    best_threshold,
    describe_pairs,
    untrained_model,
)
from twinshelf.training.pairs.statistics import TokenStatistics


def sides(pairs: list[Pair[Product]]) -> list[tuple[Product, Product]]:
    return [(pair.left, pair.right) for pair in pairs]


def labels(pairs: list[Pair[Product]]) -> npt.NDArray[np.bool_]:
    return np.array([pair.is_match for pair in pairs])


def fit(
    pairs: list[Pair[Product]],
    cosines: list[Cosines] | None = None,
    *,
    member_count: int = 2,
    feature_share: float = 0.25,
) -> PairScorer:
    records = (record for pair in pairs for record in (pair.left, pair.right))
    statistics = TokenStatistics.count(pair_tokens(record) for record in records)
    names, features = feature_matrix(sides(pairs), statistics, cosines)
    model = untrained_model(
        member_count=member_count, tree_count=20, learning_rate=0.2, feature_share=feature_share
    )
    return PairScorer.fit(features, labels(pairs), names, statistics, model)


@pytest.fixture(scope="module")
def scorer() -> PairScorer:
    return fit(make_pairs(150, seed=1))


@pytest.mark.slow
def test_all_cores_describe_pairs_as_one_does(
    scorer: PairScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = make_pairs(61, seed=4)
    cosines = [Cosines(text=number / 61) for number in range(61)]
    expected = feature_matrix(sides(pairs), scorer.statistics, cosines)
    monkeypatch.setattr(scorer_module, "_PAIRS_OF_A_PROCESS", 20)
    monkeypatch.setattr("joblib.cpu_count", lambda: 3)
    names, features = describe_pairs(sides(pairs), scorer.statistics, cosines)
    assert names == expected[0]
    np.testing.assert_array_equal(features, expected[1])


@pytest.mark.slow
def test_a_planted_rule_is_learnt(scorer: PairScorer) -> None:
    held_out = make_pairs(60, seed=2)
    scores = scorer.score(sides(held_out))
    assert ((scores > 0.5) == labels(held_out)).all()
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.slow
def test_a_cosine_that_decides_is_learnt_and_explained_first() -> None:
    pairs = make_pairs(150, seed=3)
    order = np.random.default_rng(0).permutation(150)  # the texts now say nothing
    known = [Cosines(image=0.9 if pairs[i].is_match else 0.1) for i in range(150)]
    shuffled = [
        type(pair)(left=pair.left, right=pairs[i].right, is_match=pair.is_match)
        for pair, i in zip(pairs, order, strict=True)
    ]
    scorer = fit(shuffled, known, member_count=1, feature_share=1.0)
    scores = scorer.score(sides(shuffled), known)
    assert ((scores > 0.5) == labels(shuffled)).all()
    matches = [(p, c) for p, c in zip(shuffled, known, strict=True) if p.is_match]
    for pair, cosine in matches[:5]:
        first = scorer.explain(pair.left, pair.right, cosine)[0]
        assert first.feature == "image_cosine" and first.log_odds > 0
        assert first.value == pytest.approx(cosine.image)


def test_an_explanation_says_how_the_log_odds_change_without_a_feature(scorer: PairScorer) -> None:
    pair = make_pairs(1, seed=4)[0]
    row = scorer.select(*feature_matrix(sides([pair]), scorer.statistics))
    parts = {part.feature: part for part in scorer.explain(pair.left, pair.right)}
    assert set(parts) == set(scorer.feature_names)

    def log_odds(features: npt.NDArray[np.float32]) -> np.float64:
        p = np.clip(scorer.score_features(features)[0], 1e-7, 1 - 1e-7)
        return np.log(p / (1 - p))

    for column, name in enumerate(scorer.feature_names):
        without = row.copy()
        without[0, column] = np.nan
        assert parts[name].log_odds == pytest.approx(log_odds(row) - log_odds(without))


def test_columns_that_are_never_known_are_not_read(scorer: PairScorer) -> None:
    assert not {"image_cosine", "text_cosine", "fused_cosine"} & set(scorer.feature_names)


def test_a_saved_scorer_answers_the_same(scorer: PairScorer, tmp_path: Path) -> None:
    scorer = replace(scorer, threshold=0.37)
    scorer.save(tmp_path / "run")
    loaded = PairScorer.load(tmp_path / "run")
    pairs = sides(make_pairs(20, seed=5))
    np.testing.assert_array_equal(loaded.score(pairs), scorer.score(pairs))
    assert loaded.threshold == 0.37 and loaded.feature_names == scorer.feature_names


@pytest.mark.slow
def test_the_best_threshold_is_that_of_a_slow_loop() -> None:
    generator = np.random.default_rng(7)
    for _ in range(20):
        y = np.append(generator.random(30) < 0.3, [True, False])
        p = np.round(generator.random(32), 1)  # with ties
        threshold, f1 = best_threshold(y, p)
        slow = max(f1_score(y, p >= t) for t in np.unique(p))
        assert f1 == pytest.approx(slow)
        assert f1_score(y, p >= threshold) == pytest.approx(slow)
