"""Training a pair scorer from files, and evaluating it on others."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.export.tiny_run import make_run
from tests.training.pairs.made_ecup import make_ecup
from tests.training.pairs.made_pairs import make_pairs
from tests.training.pairs.tiny_text_encoder import make_text_encoder
from twinshelf.export.pair_scorer_publishing import publish_pair_scorer
from twinshelf.training.pairs import pair_training
from twinshelf.training.pairs.blend import BlendedScorer, measure_pairs
from twinshelf.training.pairs.evaluate_pairs import main as evaluate
from twinshelf.training.pairs.labelled_pairs import LabelledPairs, read_pairs
from twinshelf.training.pairs.pair_config import CrossEncoderConfig
from twinshelf.training.pairs.pair_training import train_pair_scorer
from twinshelf.training.pairs.probes import read_probes
from twinshelf.training.pairs.train_pairs import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_boosting")]
SIDES = [(pair.left, pair.right) for pair in make_pairs(20, seed=9)]


def train(folder: Path, output: Path, *options: str) -> int:
    return main(["--pairs", str(folder), "--output", str(output), *options])


def test_a_scorer_is_trained_saved_and_evaluated(
    pair_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(pair_folder, tmp_path / "run") == 0
    settings = json.loads((tmp_path / "run" / "pairs.json").read_text())
    assert settings["neural_share"] == 0 and settings["validation"]["boosting"]["f1"] > 0.95
    options = ["--pairs", str(pair_folder / "test.txt"), "--explain", "2"]
    assert evaluate(["--run", str(tmp_path / "run"), *options]) == 0
    report = json.loads((tmp_path / "run" / "evaluation-test.json").read_text())
    assert report["f1"] > 0.95 and report["pair_count"] == 120
    assert report["threshold"] == settings["threshold"]
    printed = capsys.readouterr().out
    assert printed.count("  left:  ") == 2
    assert len(re.findall(r"^  [+-]\d+\.\d\d  \w+ = ", printed, re.MULTILINE)) == 10


def test_probes_hold_the_answers_of_the_saved_trees(pair_folder: Path, tmp_path: Path) -> None:
    assert train(pair_folder, tmp_path) == 0
    probes = read_probes(tmp_path)
    pairs = read_pairs(pair_folder / "valid.txt").sides
    scores = BlendedScorer.load(tmp_path).score(pairs)
    np.testing.assert_allclose([probe.probability for probe in probes], scores, atol=1e-12)
    assert json.loads(probes[0].left)["title"] == pairs[0][0].title
    assert math.isnan(probes[0].cosines.text)


def test_the_threshold_of_the_trees_is_half_of_their_best_f1_and_both_carry_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = LabelledPairs(pairs=make_pairs(80, seed=1))
    pairs = make_pairs(80, seed=2)  # with a tenth of wrong labels, so that none is perfect
    noisy = [replace(p, is_match=p.is_match != (i % 10 == 0)) for i, p in enumerate(pairs)]
    validation = LabelledPairs(pairs=noisy)
    seen: list[np.ndarray] = []

    def note(labels: Any, scores: np.ndarray, threshold: float) -> Any:
        seen.append(scores)
        return measure_pairs(labels, scores, threshold)

    monkeypatch.setattr(pair_training, "measure_pairs", note)
    trained = train_pair_scorer(known, validation, None, CrossEncoderConfig())
    labels, (scores,) = validation.labels, seen
    best_f1 = max(measure_pairs(labels, scores, score).f1 for score in scores)
    assert 0.5 < best_f1 < 1
    assert trained.scorer.threshold == pytest.approx(best_f1 / 2)
    assert trained.scorer.boosting.threshold == trained.metrics["boosting"].threshold
    threshold, f1 = trained.carried["threshold"], trained.carried["F1"]
    assert threshold.low < trained.scorer.threshold < threshold.high
    assert f1.low < f1.value < f1.high and f1.value < best_f1


def test_the_kept_trees_have_learnt_from_the_validation_pairs_too(tmp_path: Path) -> None:
    pairs = make_pairs(80, seed=1)
    known = LabelledPairs(pairs=pairs)
    # What is a match in training is none here: trees that saw these pairs are less sure, but were
    # measured before.
    turned = [replace(pair, is_match=not pair.is_match) for pair in pairs]
    settings = CrossEncoderConfig()
    same = train_pair_scorer(known, known, None, settings)
    other = train_pair_scorer(known, LabelledPairs(pairs=turned), None, settings)
    assert same.metrics["boosting"].f1 > 0.9 and other.metrics["boosting"].f1 == 0
    is_match = known.labels
    assert (same.scorer.score(known.sides)[is_match] > 0.6).mean() > 0.9
    assert (other.scorer.score(known.sides)[is_match] > 0.6).mean() < 0.1


def test_what_carries_over_is_printed_and_saved(
    pair_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(pair_folder, tmp_path) == 0
    printed = " ".join(capsys.readouterr().out.split())
    found = json.loads((tmp_path / "pairs.json").read_text())["carried"]
    for name in ("threshold", "F1"):
        low, value, high = (found[name][end] for end in ("low", "value", "high"))
        assert 0 < low <= value <= high <= 1
        assert f"{name} {value:.3f} {low:.3f}–{high:.3f}" in printed


def test_cosines_of_an_encoder_are_features_and_stay_with_the_scorer(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    encoder_run = make_run(tmp_path / "encoder")
    assert train(pair_folder, tmp_path / "run", "--encoder-run", str(encoder_run)) == 0
    encoder_run.rename(tmp_path / "gone")
    scorer = BlendedScorer.load(tmp_path / "run")
    assert {"text_cosine", "fused_cosine"} <= set(scorer.boosting.feature_names)
    assert "image_cosine" not in scorer.boosting.feature_names  # these records have no photos
    assert "main_image_cosine" not in scorer.boosting.feature_names
    cosines = scorer.cosines(SIDES)
    assert all(-1 <= cosine.text <= 1 for cosine in cosines)
    np.testing.assert_array_equal(scorer.score(SIDES), scorer.boosting.score(SIDES, cosines))
    assert train(pair_folder, tmp_path / "run") == 0  # without the encoder, in the same folder
    assert BlendedScorer.load(tmp_path / "run").encoder is None


def test_the_neural_variant_is_measured_beside_the_boosting(
    pair_folder: Path, tmp_path: Path
) -> None:
    source = make_text_encoder(tmp_path / "text")
    options = ("--encoder", source, "--epoch-count", "1", "--token-count", "32")
    assert train(pair_folder, tmp_path / "run", *options) == 0
    measured = json.loads((tmp_path / "run" / "pairs.json").read_text())["validation"]
    assert set(measured) == {"boosting", "cross-encoder", "kept"}
    assert measured["kept"]["f1"] >= measured["cross-encoder"]["f1"]
    scores = BlendedScorer.load(tmp_path / "run").score(SIDES)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--encoder-run", "nowhere"), "nowhere"),
    ],
)
def test_bad_options_are_answered_in_words(
    pair_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, str],
    message: str,
) -> None:
    assert train(pair_folder, tmp_path / "run", *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_files_that_are_missing_or_of_one_class_are_answered_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path, tmp_path / "run") == 1
    assert "train.txt" in capsys.readouterr().err
    (tmp_path / "train.txt").write_text("COL title VAL a\tCOL title VAL b\t1\nbroken\n")
    assert train(tmp_path, tmp_path / "run") == 1
    assert "needs matches and non-matches, got 1 pairs of one class" in capsys.readouterr().err


def train_ecup(folder: Path, **made: Any) -> dict[str, float]:
    """Trains on made tables and returns the metrics of the held-out pairs."""
    make_ecup(folder, **made)
    assert train(folder, folder / "run") == 0
    options = ["--run", str(folder / "run"), "--pairs", str(folder / "held_out.parquet")]
    assert evaluate([*options, "--explain", "1"]) == 0
    return json.loads((folder / "run" / "evaluation-held_out.json").read_text())


@pytest.mark.parametrize(
    ("tells", "feature"),
    [
        ("name", "text_cosine"),
        ("main", "image_cosine"),
        ("main", "main_image_cosine"),
        ("further", "image_cosine"),
    ],
)
def test_pairs_of_precomputed_vectors_are_told_apart_by_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tells: str, feature: str
) -> None:
    metrics = train_ecup(tmp_path / "ecup", tells=tells)
    assert metrics["f1"] > 0.9 and metrics["pair_count"] == 100
    assert f"  {feature} = " in capsys.readouterr().out
    scorer = BlendedScorer.load(tmp_path / "ecup" / "run")
    known = {"text_cosine", "image_cosine", "main_image_cosine"}
    assert known <= set(scorer.boosting.feature_names) and scorer.needs_vectors
    assert "fused_cosine" not in scorer.boosting.feature_names


def test_main_pictures_tell_pairs_apart_that_share_another_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = train_ecup(tmp_path / "ecup", is_picture_shared=True)
    assert metrics["f1"] > 0.9
    assert "  main_image_cosine = " in capsys.readouterr().out
    run = tmp_path / "ecup" / "run"
    scorer, held_out = BlendedScorer.load(run), tmp_path / "ecup" / "held_out.parquet"
    pairs = read_pairs(held_out, with_vectors=True)
    assert pairs.cosines is not None
    assert all(cosine.image > 0.999 for cosine in pairs.cosines)
    without = [replace(cosine, main_image=math.nan) for cosine in pairs.cosines]
    scores = scorer.score(pairs.sides, without)
    assert measure_pairs(pairs.labels, scores, scorer.threshold).f1 < 0.7


def test_vectors_beside_other_products_tell_nothing(tmp_path: Path) -> None:
    assert train_ecup(tmp_path / "ecup", is_shuffled=True)["f1"] < 0.7


def test_a_scorer_of_precomputed_vectors_is_published_as_any_other(tmp_path: Path) -> None:
    make_ecup(tmp_path)
    assert train(tmp_path, tmp_path / "run") == 0
    cosines = [probe.cosines for probe in read_probes(tmp_path / "run")]
    assert len(cosines) == 20 and all(math.isfinite(c.image + c.text) for c in cosines)
    done = publish_pair_scorer(tmp_path / "run", tmp_path / "models")
    assert done.difference < 1e-5
    known = {"text_cosine", "image_cosine", "main_image_cosine"}
    assert known <= set(done.contract["feature_names"])


def test_a_folder_is_scored_and_its_bad_rows_are_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_ecup(tmp_path, pair_count=60)
    assert train(tmp_path, tmp_path / "run") == 0
    make_ecup(tmp_path / "other", seed=1, pair_count=50)
    resnet = pq.read_table(tmp_path / "other" / "resnet.parquet")
    pq.write_table(resnet.slice(1), tmp_path / "other" / "resnet.parquet")
    options = ["--run", str(tmp_path / "run"), "--pairs", str(tmp_path / "other")]
    assert evaluate(options) == 0
    assert "row 1: variantid '1000' stands in no row of resnet.parquet" in caplog.text
    report = json.loads((tmp_path / "run" / "evaluation-other.json").read_text())
    assert report["pair_count"] == 49


def test_a_scorer_of_vectors_refuses_pairs_without_them(
    tmp_path: Path, pair_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_ecup(tmp_path, pair_count=60)
    assert train(tmp_path, tmp_path / "run") == 0
    options = ["--run", str(tmp_path / "run"), "--pairs"]
    assert evaluate([*options, str(pair_folder / "test.txt")]) == 1
    assert "holds no precomputed vectors" in capsys.readouterr().err
    (tmp_path / "resnet.parquet").unlink()
    assert evaluate([*options, str(tmp_path)]) == 1
    assert "resnet.parquet" in capsys.readouterr().err


def test_raw_fields_of_ecup_are_compared_by_an_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    encoder_run = make_run(tmp_path / "encoder")
    make_ecup(tmp_path / "ecup", pair_count=60)
    (tmp_path / "ecup" / "resnet.parquet").unlink()
    assert train(tmp_path / "ecup", tmp_path / "run", "--encoder-run", str(encoder_run)) == 0
    scorer = BlendedScorer.load(tmp_path / "run")
    assert "text_cosine" in scorer.boosting.feature_names and not scorer.needs_vectors
    held_out = str(tmp_path / "ecup" / "held_out.parquet")
    assert evaluate(["--run", str(tmp_path / "run"), "--pairs", held_out]) == 0
