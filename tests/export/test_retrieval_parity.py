"""Retrieval parity: ties are no difference, other ranks are."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.export.tiny_run import make_data
from twinshelf.export.encoder_models import ENSEMBLES
from twinshelf.export.parity import ParityComparison, ParityError
from twinshelf.export.precision import BOUNDS
from twinshelf.export.reference import TorchReference
from twinshelf.export.retrieval_parity import (
    RetrievalSample,
    compare_metrics,
    compare_retrieval,
    read_sample,
)
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.retrieval.metrics import pairs_by_group

pytestmark = pytest.mark.slow

RELEVANT = pairs_by_group(["a", "b"], ["a", "b", "c"])


def scores(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_equal_scores_give_equal_metrics() -> None:
    table = scores((0.9, 0.1, 0.2), (0.8, 0.3, 0.4))
    recall, precision = compare_metrics("image", table, table, RELEVANT, BOUNDS["fp32"])
    assert recall.name == "recall@1 image"
    assert recall.in_torch == recall.as_published == 0.5
    assert precision.as_published == pytest.approx((1 + 1 / 3) / 2)


def test_a_tie_that_breaks_otherwise_is_no_difference() -> None:
    in_torch = scores((0.9, 0.1, 0.900001), (0.1, 0.9, 0.2))
    as_published = scores((0.900001, 0.1, 0.9), (0.1, 0.9, 0.2))
    recall, _ = compare_metrics("text", in_torch, as_published, RELEVANT, BOUNDS["fp32"])
    assert (recall.in_torch, recall.as_published) == (0.5, 1.0)


@pytest.mark.parametrize("is_better", [True, False])
def test_another_rank_is_refused_for_better_or_worse(is_better: bool) -> None:
    first, second = scores((0.9, 0.1, 0.8), (0, 1, 0)), scores((0.8, 0.1, 0.9), (0, 1, 0))
    in_torch, as_published = (second, first) if is_better else (first, second)
    with pytest.raises(ParityError, match="recall@1 of queries by both is .*1 of 2 queries"):
        compare_metrics("both", in_torch, as_published, RELEVANT, BOUNDS["fp32"])


def test_swaps_that_leave_the_mean_alone_are_refused() -> None:
    in_torch = scores((0.9, 0.1, 0.8), (0.1, 0.8, 0.9))
    as_published = scores((0.8, 0.1, 0.9), (0.1, 0.9, 0.8))
    with pytest.raises(ParityError, match="2 of 2 queries"):
        compare_metrics("both", in_torch, as_published, RELEVANT, BOUNDS["fp32"])


def test_a_loss_within_the_bounds_is_let_pass_and_a_larger_one_named() -> None:
    in_torch, as_published = scores((0.9, 0.1, 0.8), (0, 1, 0)), scores((0.8, 0.1, 0.81), (0, 1, 0))
    lenient = dataclasses.replace(BOUNDS["int8"], metric_loss=0.5, score_shift=0.2)
    recall, _ = compare_metrics("both", in_torch, as_published, RELEVANT, lenient)
    assert (recall.in_torch, recall.as_published) == (1.0, 0.5)
    strict = dataclasses.replace(lenient, metric_loss=0.4)
    with pytest.raises(ParityError, match="50.00 points are lost, at most 40 may be"):
        compare_metrics("both", in_torch, as_published, RELEVANT, strict)


def test_scores_that_move_without_a_loss_of_rank_are_refused() -> None:
    in_torch, as_published = scores((0.9, 0.1, 0.2), (0, 1, 0)), scores((0.7, 0, 0), (0, 0.9, 0))
    with pytest.raises(ParityError, match="scores of true matches by both move by 0.15"):
        compare_metrics("both", in_torch, as_published, RELEVANT, BOUNDS["int8"])


def test_the_sample_has_the_product_of_every_query(tmp_path: Path) -> None:
    make_data(tmp_path)
    sample = read_sample(tmp_path)
    assert sample is not None
    assert len(sample.queries) == len(sample.gallery) == 8
    assert sample == read_sample(tmp_path)


def test_of_a_large_group_some_products_are_enough_and_a_query_is_not_its_own(
    tmp_path: Path,
) -> None:
    rows = [Product(product_id=str(n), title="tea", group="tea") for n in range(9)]
    rows.append(Product(product_id="alone", title="rice", group="rice"))
    for name in ("queries", "gallery"):
        write_table(tmp_path / f"{name}.parquet", rows)
    sample = read_sample(tmp_path)
    assert sample is not None
    assert {query.group for query in sample.queries} == {"tea"}
    assert Counter(product.group for product in sample.gallery) == {"tea": 5, "rice": 1}


def test_no_query_finds_itself(
    reference: TorchReference, published: Path, encoder: TrainedEncoder, run: Path
) -> None:
    drawn = read_sample(run.parent / "data")
    assert drawn is not None
    rows = tuple(
        dataclasses.replace(product, group=f"g{number % 4}")
        for number, product in enumerate(drawn.gallery)
    )
    comparison = ParityComparison(reference, PublishedVersion(published, 1, ENSEMBLES))
    pairs = compare_retrieval(comparison, RetrievalSample(queries=rows, gallery=rows), encoder)
    assert max(pair.in_torch for pair in pairs) < 1.0


def test_without_tables_there_is_no_sample(tmp_path: Path) -> None:
    assert read_sample(tmp_path) is None


def test_all_patterns_are_compared_on_rows_that_lack_a_modality(
    reference: TorchReference, published: Path, encoder: TrainedEncoder, run: Path
) -> None:
    sample = read_sample(run.parent / "data")
    assert sample is not None
    assert not all(query.images for query in sample.queries)
    comparison = ParityComparison(reference, PublishedVersion(published, 1, ENSEMBLES))
    pairs = compare_retrieval(comparison, sample, encoder)
    assert [pair.name for pair in pairs] == [
        f"{metric} {pattern}"
        for pattern in ("image", "text", "both")
        for metric in ("recall@1", "MAP")
    ]
    assert comparison.report().row_count == 2 * (7 + 7)
