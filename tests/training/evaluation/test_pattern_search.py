"""The labels of a search, and which queries have a pattern."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.evaluation.drawn_products import draw_products, without
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.evaluation_config import EvaluationConfig
from twinshelf.training.evaluation.pattern_search import (
    best_row_rule,
    row_f1,
    search_gallery,
)
from twinshelf.training.retrieval.match_probability import OfferLists

EVEN = 0.5


def test_a_candidate_is_a_match_exactly_when_the_groups_are_one() -> None:
    queries, gallery = draw_products()
    found = search_gallery(queries, gallery, EVEN)
    for query, items in enumerate(found.found.candidates.items):
        expected = [item >= 0 and gallery.groups[item] == queries.groups[query] for item in items]
        assert found.lists.is_match[query].tolist() == expected
    relevant = [gallery.groups.count(group) for group in queries.groups]
    assert found.lists.relevant_counts.tolist() == relevant


def test_unknown_groups_match_nothing() -> None:
    queries, gallery = draw_products()
    unknown = EmbeddedProducts(
        embeddings=queries.embeddings,
        product_ids=queries.product_ids,
        groups=("",) * len(queries),
        categories=queries.categories,
    )
    found = search_gallery(unknown, gallery, EVEN)
    assert not found.lists.is_match.any()
    assert len(set(found.queries.clusters)) == len(queries)


def test_leave_one_out_finds_the_other_offers_only() -> None:
    queries, _ = draw_products(offer_count=3)
    found = search_gallery(queries, queries, EVEN)
    assert found.lists.has_itself.all()
    assert (found.lists.relevant_counts == 2).all()
    assert not (found.found.candidates.items == np.arange(len(queries))[:, None]).any()


@pytest.mark.parametrize(("pattern", "count"), [("image", 150), ("text", 158), ("both", 148)])
def test_a_pattern_takes_queries_with_all_its_modalities(pattern: str, count: int) -> None:
    queries = without(without(draw_products()[0], "image", slice(0, 10)), "text", slice(20, 22))
    assert queries.with_pattern(pattern).sum() == count


def test_a_depth_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="top_k must be rising"):
        EvaluationConfig(top_k=(5, 1))


QUERY_COUNT, CANDIDATE_COUNT = 30, 8


def drawn_lists(seed: int = 0) -> OfferLists:
    generator = np.random.default_rng(seed)
    labels = generator.random((QUERY_COUNT, CANDIDATE_COUNT)) < 0.3
    labels[:5] = False
    scores = (generator.normal(size=labels.shape) + labels).round(1)
    order = np.argsort(-scores, axis=1)
    scores = np.take_along_axis(scores, order, axis=1)
    labels = np.take_along_axis(labels, order, axis=1)
    scores[::4, -2:] = -np.inf
    labels[::4, -2:] = False
    beyond = generator.integers(0, 3, QUERY_COUNT)
    beyond[:5] = 0  # the first five have no relevant item
    return OfferLists(
        scores=scores,
        image_weights=np.full(scores.shape, 0.5),
        is_match=labels,
        relevant_counts=labels.sum(axis=1) + beyond,
        has_itself=generator.random(QUERY_COUNT) < 0.5,
    )


def slow_row_f1(lists: OfferLists, query: int, threshold: float, least_count: int) -> float:
    """F1 of two sets; what lies beyond the candidates has names of its own."""
    found: set[object] = {
        place
        for place, score in enumerate(lists.scores[query])
        if score >= threshold or (place < least_count and score > -np.inf)
    }
    right: set[object] = {place for place, label in enumerate(lists.is_match[query]) if label}
    right |= {f"beyond {n}" for n in range(lists.relevant_counts[query] - len(right))}
    if lists.has_itself[query]:
        found, right = found | {"itself"}, right | {"itself"}
    if not found and not right:
        return 1.0
    return 2 * len(found & right) / (len(found) + len(right))


@pytest.mark.parametrize("threshold", [-9.0, 0.0, 0.7, 9.0])
@pytest.mark.parametrize("least_count", [0, 1])
def test_row_f1_equals_the_f1_of_sets(threshold: float, least_count: int) -> None:
    lists = drawn_lists()
    expected = [slow_row_f1(lists, row, threshold, least_count) for row in range(QUERY_COUNT)]
    np.testing.assert_allclose(row_f1(lists, threshold, least_count), expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("has_match", [False, True])
def test_the_best_rule_is_the_best_of_all_scores(seed: int, has_match: bool) -> None:
    lists = drawn_lists(seed)
    if has_match:  # and it stands first, with a score that says little
        lists.is_match[:, 0] = True
        lists.relevant_counts[:] = np.maximum(lists.relevant_counts, lists.is_match.sum(axis=1))
    scores = lists.scores[np.isfinite(lists.scores)]
    rules = [(score, count) for score in [*scores, scores.max() + 1] for count in (0, 1)]
    best = max(row_f1(lists, *rule).mean() for rule in rules)
    found = best_row_rule(lists)
    assert row_f1(lists, *found).mean() == pytest.approx(best)
    assert found[1] >= has_match


def test_lone_queries_are_right_when_they_get_nothing() -> None:
    lists = drawn_lists()
    lone = (lists.relevant_counts == 0) & ~lists.has_itself
    assert lone.any()
    assert (row_f1(lists, 99.0)[lone] == 1).all()
    assert (row_f1(lists, -99.0)[lone] == 0).all()


def test_accepting_nothing_can_be_the_best() -> None:
    nothing_right = OfferLists(
        scores=np.array([[0.9, 0.5]]),
        image_weights=np.full((1, 2), 0.5),
        is_match=np.zeros((1, 2), dtype=bool),
        relevant_counts=np.array([0]),
        has_itself=np.array([False]),
    )
    assert row_f1(nothing_right, *best_row_rule(nothing_right)).tolist() == [1.0]


def test_no_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one candidate"):
        best_row_rule(drawn_lists().rows(np.zeros(QUERY_COUNT, dtype=bool)))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="must be as many"):
        OfferLists(
            scores=np.zeros((2, 1)),
            image_weights=np.zeros((2, 1)),
            is_match=np.zeros((2, 1), dtype=bool),
            relevant_counts=np.zeros(3, dtype=np.int64),
            has_itself=np.zeros(3, dtype=bool),
        )
