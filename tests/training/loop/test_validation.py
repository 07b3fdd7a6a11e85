"""Validation inside the loop, against a ranking done by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.retrieval.test_embeddings import unit_rows
from twinshelf.training.loop.validation import (
    EmbeddedRows,
    evaluate_patterns,
    join_rows,
)
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.fusion_weight import pattern_weights


def rows(count: int, seed: int, group_count: int) -> EmbeddedRows:
    groups = np.random.default_rng(seed).integers(0, group_count, count)
    return EmbeddedRows(
        embeddings=ProductEmbeddings(
            image=unit_rows(count, seed=seed), text=unit_rows(count, seed=seed + 100)
        ),
        groups=tuple(map(str, groups)),
    )


def slow_scores(
    queries: EmbeddedRows, gallery: EmbeddedRows, image_weight: float, text_weight: float
) -> tuple[float, float]:
    firsts, precisions = [], []
    asked, searched = queries.embeddings, gallery.embeddings
    for q in range(len(asked)):
        scores = [
            image_weight * asked.image[q] @ searched.image[g]
            + text_weight * asked.text[q] @ searched.text[g]
            for g in range(len(searched))
        ]
        order = sorted(range(len(scores)), key=lambda g: -scores[g])
        right = [gallery.groups[g] == queries.groups[q] for g in order]
        if not any(right):
            continue
        firsts.append(float(right[0]))
        hits = [sum(right[: r + 1]) / (r + 1) for r in range(len(right)) if right[r]]
        precisions.append(float(sum(hits) / len(hits)))
    return sum(firsts) / len(firsts), sum(precisions) / len(precisions)


@pytest.mark.parametrize("pattern", ["image", "text", "both"])
def test_scores_equal_the_loop(pattern: str) -> None:
    queries, gallery = rows(17, 1, 6), rows(11, 2, 5)
    fusion_weight, scores = evaluate_patterns(queries, gallery)
    weight, found = pattern_weights(fusion_weight)[pattern], scores[pattern]
    first, precision = slow_scores(queries, gallery, weight, 1 - weight)
    assert found.recall_at_1 == pytest.approx(first)
    assert found.mean_average_precision == pytest.approx(precision, abs=1e-6)


def test_only_queries_that_show_the_modality_count() -> None:
    queries, gallery = rows(6, 3, 2), rows(4, 4, 2)
    queries.embeddings.image[:5] = 0
    shown = EmbeddedRows(
        embeddings=queries.embeddings.rows(np.array([5])), groups=queries.groups[5:]
    )
    first, precision = slow_scores(shown, gallery, 1.0, 0.0)
    found = evaluate_patterns(queries, gallery)[1]["image"]
    assert found.recall_at_1 == first
    assert found.mean_average_precision == pytest.approx(precision)


def test_patterns_with_nothing_to_evaluate_are_absent() -> None:
    queries, gallery = rows(6, 3, 2), rows(4, 4, 2)
    queries.embeddings.text[:] = 0
    assert list(evaluate_patterns(queries, gallery)[1]) == ["image"]
    strangers = replace(queries, groups=("9",) * 6)
    assert evaluate_patterns(strangers, gallery) == (0.5, {})


def test_a_poor_modality_does_not_spoil_both() -> None:
    gallery = rows(40, 2, 40)
    queries = EmbeddedRows(
        embeddings=ProductEmbeddings(image=unit_rows(40, seed=9), text=gallery.embeddings.text),
        groups=gallery.groups,
    )
    _, scores = evaluate_patterns(queries, gallery)
    assert scores["image"].recall_at_1 < 0.2
    assert scores["text"].recall_at_1 == scores["both"].recall_at_1 == 1


def test_batches_join_in_order() -> None:
    parts = [rows(2, 1, 3), rows(3, 2, 3)]
    joined = join_rows(parts)
    np.testing.assert_array_equal(joined.embeddings.image[2:], parts[1].embeddings.image)
    np.testing.assert_array_equal(joined.embeddings.text[:2], parts[0].embeddings.text)
    assert joined.groups == parts[0].groups + parts[1].groups
