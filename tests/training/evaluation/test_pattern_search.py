"""The labels of a search, and which queries have a pattern."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.evaluation.drawn_products import draw_products, without
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.evaluation_config import EvaluationConfig
from twinshelf.training.evaluation.pattern_search import search_gallery
from twinshelf.training.retrieval.embeddings import ModalityWeights

SETTINGS = EvaluationConfig(candidate_count=12)
EVEN = ModalityWeights(image=0.5, text=0.5)


def test_a_candidate_is_a_match_exactly_when_the_groups_are_one() -> None:
    queries, gallery = draw_products()
    found = search_gallery(queries, gallery, EVEN, SETTINGS)
    for query, items in enumerate(found.found.candidates.items):
        expected = [gallery.groups[item] == queries.groups[query] for item in items]
        assert found.matches.is_match[query].tolist() == expected
    relevant = [gallery.groups.count(group) for group in queries.groups]
    assert found.matches.relevant_counts.tolist() == relevant


def test_unknown_groups_match_nothing() -> None:
    queries, gallery = draw_products()
    unknown = EmbeddedProducts(
        embeddings=queries.embeddings,
        product_ids=queries.product_ids,
        groups=("",) * len(queries),
        categories=queries.categories,
    )
    found = search_gallery(unknown, gallery, EVEN, SETTINGS)
    assert not found.matches.is_match.any()
    assert len(set(found.clusters)) == len(queries)


def test_leave_one_out_finds_the_other_offers_only() -> None:
    queries, _ = draw_products(offer_count=3)
    found = search_gallery(queries, queries, EVEN, SETTINGS)
    assert found.matches.has_itself.all()
    assert (found.matches.relevant_counts == 2).all()
    assert not (found.found.candidates.items == np.arange(len(queries))[:, None]).any()


@pytest.mark.parametrize(("pattern", "count"), [("image", 150), ("text", 158), ("both", 148)])
def test_a_pattern_takes_queries_with_all_its_modalities(pattern: str, count: int) -> None:
    queries = without(without(draw_products()[0], "image", slice(0, 10)), "text", slice(20, 22))
    assert queries.with_pattern(pattern).sum() == count


def test_counts_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="neighbour_count must be 1 to candidate_count, 5, got 10"):
        EvaluationConfig(candidate_count=5)
    with pytest.raises(ValueError, match="top_k must be rising"):
        EvaluationConfig(top_k=(5, 1))
    with pytest.raises(ValueError, match="target_precision"):
        EvaluationConfig(target_precision=1.5)
