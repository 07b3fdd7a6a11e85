"""Token statistics against a slow version with a dict."""

import math
from collections import Counter
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from twinshelf.training.pairs.statistics import TokenStatistics, WeighedTokens

DOCUMENTS = ["red tea cup", "red coffee cup cup", "чай зелёный", "red red red", "tea 500 g"]


@pytest.fixture(scope="module")
def statistics() -> TokenStatistics:
    return TokenStatistics.count(text.split() for text in DOCUMENTS)


def weigh(statistics: TokenStatistics, text: str) -> WeighedTokens:
    return statistics.weigh(Counter(text.split()))


def slow_rarity(token: str) -> float:
    count = sum(token in text.split() for text in DOCUMENTS)
    return math.log((1 + len(DOCUMENTS)) / (1 + count)) + 1


def test_rarity_is_that_of_a_slow_count(statistics: TokenStatistics) -> None:
    for token in {*" ".join(DOCUMENTS).split(), "unknown"}:
        assert statistics.inverse_frequency(token) == pytest.approx(slow_rarity(token))


def test_cosine_is_that_of_scikit_learn(statistics: TokenStatistics) -> None:
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+").fit(DOCUMENTS)
    rows = vectorizer.transform(DOCUMENTS).toarray()
    for i, left in enumerate(DOCUMENTS):
        for j, right in enumerate(DOCUMENTS):
            cosine = weigh(statistics, left).cosine(weigh(statistics, right))
            assert cosine == pytest.approx(rows[i] @ rows[j], abs=1e-9)


def test_nothing_is_like_nothing(statistics: TokenStatistics) -> None:
    assert weigh(statistics, "").cosine(weigh(statistics, "tea")) == 0
    assert not weigh(statistics, "").unit


def test_saved_statistics_answer_the_same(statistics: TokenStatistics, tmp_path: Path) -> None:
    statistics.save(tmp_path / "statistics.npz")
    loaded = TokenStatistics.load(tmp_path / "statistics.npz")
    tokens = [*" ".join(DOCUMENTS).split(), "unknown"]
    assert [loaded.inverse_frequency(t) for t in tokens] == [
        statistics.inverse_frequency(t) for t in tokens
    ]
