"""Validation inside the loop, against a ranking done by hand."""

import pytest
import torch
import torch.nn.functional as F

from twinshelf.training.loop.validation import (
    EmbeddedRows,
    evaluate_patterns,
    join_rows,
)
from twinshelf.training.retrieval.fusion_weight import pattern_weights


def rows(count: int, seed: int, group_count: int) -> EmbeddedRows:
    generator = torch.Generator().manual_seed(seed)
    image, text = (F.normalize(torch.randn(count, 4, generator=generator)) for _ in range(2))
    labels = torch.randint(0, group_count, (count,), generator=generator)
    return EmbeddedRows(image=image, text=text, labels=labels)


def slow_scores(
    queries: EmbeddedRows, gallery: EmbeddedRows, image_weight: float, text_weight: float
) -> tuple[float, float]:
    firsts, precisions = [], []
    for q in range(len(queries.labels)):
        scores = [
            image_weight * queries.image[q] @ gallery.image[g]
            + text_weight * queries.text[q] @ gallery.text[g]
            for g in range(len(gallery.labels))
        ]
        order = sorted(range(len(scores)), key=lambda g: -scores[g])
        right = [gallery.labels[g] == queries.labels[q] for g in order]
        if not any(right):
            continue
        firsts.append(float(right[0]))
        hits = [sum(right[: r + 1]) / (r + 1) for r in range(len(right)) if right[r]]
        precisions.append(float(sum(hits) / len(hits)))
    return sum(firsts) / len(firsts), sum(precisions) / len(precisions)


@pytest.mark.parametrize("pattern", ["image", "text", "both"])
def test_scores_equal_the_loop(pattern: str) -> None:
    queries, gallery = rows(17, 1, 6), rows(11, 2, 5)
    weight = pattern_weights(0.3)[pattern]
    found = evaluate_patterns(queries, gallery, 0.3)[pattern]
    first, precision = slow_scores(queries, gallery, weight, 1 - weight)
    assert found.recall_at_1 == pytest.approx(first)
    assert found.mean_average_precision == pytest.approx(precision, abs=1e-6)


def test_only_queries_that_show_the_modality_count() -> None:
    queries, gallery = rows(6, 3, 2), rows(4, 4, 2)
    queries.image[:5] = 0
    first, precision = slow_scores(
        EmbeddedRows(image=queries.image[5:], text=queries.text[5:], labels=queries.labels[5:]),
        gallery, 1.0, 0.0,
    )  # fmt: skip
    found = evaluate_patterns(queries, gallery, 0.5)["image"]
    assert found.recall_at_1 == first
    assert found.mean_average_precision == pytest.approx(precision)


def test_patterns_with_nothing_to_evaluate_are_absent() -> None:
    queries, gallery = rows(6, 3, 2), rows(4, 4, 2)
    queries.text[:] = 0
    assert list(evaluate_patterns(queries, gallery, 0.5)) == ["image"]
    strangers = EmbeddedRows(image=queries.image, text=queries.image, labels=queries.labels + 9)
    assert evaluate_patterns(strangers, gallery, 0.5) == {}


def test_batches_join_in_order() -> None:
    parts = [rows(2, 1, 3), rows(3, 2, 3)]
    joined = join_rows(parts)
    assert torch.equal(joined.image[2:], parts[1].image)
    assert joined.groups == [str(int(label)) for part in parts for label in part.labels]
