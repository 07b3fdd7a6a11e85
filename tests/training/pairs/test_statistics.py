"""Token statistics against a slow version with a dict."""

import math
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from training.pairs.statistics import TokenStatistics

DOCUMENTS = ["red tea cup", "red coffee cup cup", "чай зелёный", "red red red", "tea 500 g"]


@pytest.fixture(scope="module")
def statistics():
    return TokenStatistics.count(text.split() for text in DOCUMENTS)


def slow_rarity(token):
    count = sum(token in text.split() for text in DOCUMENTS)
    return math.log((1 + len(DOCUMENTS)) / (1 + count)) + 1


def test_rarity_is_that_of_a_slow_count(statistics):
    for token in {*" ".join(DOCUMENTS).split(), "unknown"}:
        assert statistics.inverse_frequency(token) == pytest.approx(slow_rarity(token))


def test_cosine_is_that_of_scikit_learn(statistics):
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+").fit(DOCUMENTS)
    rows = vectorizer.transform(DOCUMENTS).toarray()
    for i, left in enumerate(DOCUMENTS):
        for j, right in enumerate(DOCUMENTS):
            cosine = statistics.cosine(Counter(left.split()), Counter(right.split()))
            assert cosine == pytest.approx(rows[i] @ rows[j], abs=1e-9)


def test_nothing_is_like_nothing(statistics):
    assert statistics.cosine(Counter(), Counter(["tea"])) == 0
    assert statistics.weights({}) == {}


def test_saved_statistics_answer_the_same(statistics, tmp_path):
    statistics.save(tmp_path / "statistics.npz")
    loaded = TokenStatistics.load(tmp_path / "statistics.npz")
    tokens = [*" ".join(DOCUMENTS).split(), "unknown"]
    assert [loaded.inverse_frequency(t) for t in tokens] == [
        statistics.inverse_frequency(t) for t in tokens
    ]


def test_no_documents_and_other_tables_are_refused():
    with pytest.raises(ValueError, match="at least one document"):
        TokenStatistics.count([])
    with pytest.raises(ValueError, match=r"must be \(262144,\)"):
        TokenStatistics(np.zeros(4, np.uint32), 1)
