"""Ranking of judged products by a trained encoder."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import ndcg_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.catalogues.rows import good_rows
from tests.training.evaluation.tiny_run import WORDS, make_run
from twinshelf.training.catalogues.esci import read_esci
from twinshelf.training.catalogues.product import Product, QueryProduct
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.evaluation import judged_search
from twinshelf.training.evaluation.embedded_products import Embedder, embed_products
from twinshelf.training.evaluation.evaluation_config import EvaluationOptions
from twinshelf.training.evaluation.judged_search import (
    JudgedPairs,
    evaluate_searches,
    graded_ndcg,
    random_ndcg,
    score_pairs,
)
from twinshelf.training.loop.mlflow_run import mlflow_run_id, open_mlflow
from twinshelf.training.runs.environment import read_environments

pytestmark = pytest.mark.slow

QUERIES = ("red tea", "Green soap", "blue milk")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def judgements(tmp_path: Path) -> Path:
    """A joined table of three queries, and of one that is not held out."""
    lines = ["query,product,esci_label"]
    for number, query in enumerate((*QUERIES, "jar")):
        for place, label in enumerate("ESIE"):
            lines.append(f"{query},{WORDS[number]} {WORDS[place + number]} box,{label}")
    path = tmp_path / "esci.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_queries(path: Path, count: int = len(QUERIES)) -> None:
    texts = QUERIES[:count]
    write_table(path, [Product(product_id=f"query : {text.lower()}", title=text) for text in texts])


@pytest.fixture
def files(run: Path, tmp_path: Path) -> EvaluationOptions:
    write_queries(tmp_path / "queries.parquet")
    return EvaluationOptions(run=run, queries=tmp_path / "queries.parquet", output=tmp_path / "out")


def held_out(path: Path) -> list[QueryProduct]:
    return [pair for pair in good_rows(read_esci(path)) if pair.query in QUERIES]


def test_held_out_queries_are_judged_and_the_result_is_saved(
    files: EvaluationOptions, judgements: Path
) -> None:
    result = evaluate_searches(files, judgements.parent)
    assert (result.query_count, result.pair_count, result.no_gain_count) == (3, 12, 0)
    scored = score_pairs(Embedder.of_run(files.run, "cpu"), held_out(judgements))
    assert result.metrics["NDCG"].value == pytest.approx(np.mean(graded_ndcg(scored)))
    saved = json.loads((files.results_folder / "judgements.json").read_text())
    assert saved["metrics"]["NDCG"]["value"] == result.metrics["NDCG"].value


def test_a_tracked_run_gets_the_figures_in_its_loggers(judgements: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path, "tensorboard", "mlflow")
    write_queries(tmp_path / "data" / "queries.parquet")
    write_queries(tmp_path / "half.parquet", 1)
    own = evaluate_searches(EvaluationOptions(run=run), judgements)
    other = EvaluationOptions(run=run, queries=tmp_path / "half.parquet")
    half = evaluate_searches(other, judgements)
    by_chance = own.metrics["NDCG of a random order"].value
    expected = {
        "judged/query_count": 3,
        "judged/metrics/NDCG_at_10/value": own.metrics["NDCG@10"].value,
        "judged/metrics/NDCG_of_a_random_order/value": by_chance,
        f"{other.name}/judged/query_count": 1,
        f"{other.name}/judged/metrics/NDCG/value": half.metrics["NDCG"].value,
    }
    events = EventAccumulator(str(run / "logs"))
    events.Reload()
    client, number = open_mlflow(run), mlflow_run_id(run)
    figures = client.get_run(number).data.metrics
    for name, value in expected.items():
        assert [event.value for event in events.Scalars(name)] == [pytest.approx(value, abs=1e-6)]
        assert figures[name] == value
    kept = {Path(file.path).name for file in client.list_artifacts(number, "judged")}
    assert kept == {"judgements.json", "environment.json"}
    assert list(read_environments(run)) == ["judged"]


def test_a_run_without_loggers_gets_none(files: EvaluationOptions, judgements: Path) -> None:
    evaluate_searches(files, judgements)
    assert list(read_environments(files.results_folder)) == [f"{files.name}/judged"]
    assert not (files.run / "logs").exists() and not (files.run / "mlflow").exists()


def test_scores_are_cosines_behind_the_prefixes_whatever_the_block(
    run: Path, judgements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder, pairs = Embedder.of_run(run, "cpu"), held_out(judgements)
    scored = score_pairs(embedder, pairs)
    assert scored.queries.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    # The sizes of batches change the last bits of float32 sums.
    for count in (1, 5):
        monkeypatch.setattr(judged_search, "BLOCK_PAIR_COUNT", count)
        blocks = score_pairs(embedder, pairs)
        np.testing.assert_allclose(blocks.scores, scored.scores, atol=1e-6)
        np.testing.assert_array_equal(blocks.queries, scored.queries)

    def embed(product: Product, *, is_passage: bool) -> np.ndarray:
        embedded = embed_products(embedder.encoder, [product], are_passages=is_passage)
        return embedded.embeddings.text[0]

    def slow(pair: QueryProduct, *, is_passage: bool) -> float:
        query = embed(pair.offer, is_passage=False)
        return float(query @ embed(pair.product, is_passage=is_passage))

    np.testing.assert_allclose(
        scored.scores, [slow(pair, is_passage=True) for pair in pairs], atol=1e-6
    )
    unlike = [slow(pair, is_passage=False) for pair in pairs]
    assert not np.allclose(scored.scores, unlike, atol=1e-3)


def test_bad_judgements_are_counted_and_named(
    files: EvaluationOptions, judgements: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with judgements.open("a") as file:
        file.write("red tea,box,maybe\n")
    assert evaluate_searches(files, judgements).bad_row_count == 1
    assert "esci.csv, row 17: column 'esci_label' must be exact" in caplog.text


def test_judgements_of_other_queries_are_refused(
    files: EvaluationOptions, judgements: Path, tmp_path: Path
) -> None:
    judgements.write_text("query,product,esci_label\njar,box,E\nred tea,cup,I\n")
    with pytest.raises(ValueError, match="judges 1 of the 3 .* better than irrelevant"):
        evaluate_searches(files, judgements)
    with pytest.raises(FileNotFoundError, match="nor one joined"):
        evaluate_searches(files, tmp_path / "out")


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
