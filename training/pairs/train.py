"""Trains the pair scorer on labelled pairs and keeps the variant that validation prefers.

Run: python -m training.pairs.train --pairs FILE_OR_FOLDER --output runs/pairs [--encoder FOLDER]
    [--encoder-run runs/NAME] [--validation-share 0.1] [--seed 42] [--loggers tensorboard]
A folder holds train.txt and valid.txt in Ditto's form, or the tables of Ozon's E-CUP matching:
train.parquet, attributes.parquet, text_and_bert.parquet and, for the cosines of precomputed
vectors, resnet.parquet. A Parquet file beside these tables takes the place of train.parquet: all
pairs are kept in memory, so take a sample of very many. Of E-CUP's pairs a share is held out to
choose on, whose products are in no other pair where that can be.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from training.checkpoint import TrainedEncoder, load_encoder
from training.pairs.blend import (
    BlendedScorer,
    Floats,
    PairMetrics,
    blend_probabilities,
    choose_neural_share,
    keep_encoder,
    measure_pairs,
)
from training.pairs.cosines import pair_cosines
from training.pairs.cross_encoder import CrossEncoder, CrossEncoderConfig
from training.pairs.features import feature_matrix, pair_tokens
from training.pairs.held_out import HeldOutConfig
from training.pairs.labelled_pairs import LabelledPairs, read_training_pairs
from training.pairs.probes import PairProbe, write_probes
from training.pairs.records import record_to_json
from training.pairs.run_record import record_training
from training.pairs.scorer import PairScorer, best_threshold
from training.pairs.statistics import TokenStatistics
from training.pairs.validation_scores import write_validation

PROBE_COUNT = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairTraining:
    """What training came to.

    Attributes:
        scorer: The kept scorer; its trees have learnt from the validation pairs, too.
        metrics: Variant to its metrics on the validation pairs, before it learnt from them.
        validation_scores: Probability of each validation pair by the kept variant, before it learnt
            from them, 0 to 1, (P,).
    """

    scorer: BlendedScorer
    metrics: dict[str, PairMetrics]
    validation_scores: Floats


def train_pair_scorer(
    train: LabelledPairs,
    validation: LabelledPairs,
    encoder_source: str | None,
    config: CrossEncoderConfig,
    encoder: TrainedEncoder | None = None,
) -> PairTraining:
    """Fits the variants on the training pairs; share and threshold come from the validation pairs.

    Once these are chosen, the trees are grown anew from both: more pairs to learn from, at the
    threshold that was right for fewer.

    Args:
        train: Pairs to learn from.
        validation: Pairs to choose on.
        encoder_source: Pretrained text encoder for the neural variant; None leaves it out.
        config: How that is fine-tuned.
        encoder: Gives the cosines among the features; without one they are what comes with the
            pairs, or unknown.
    """
    if encoder is not None:
        train, validation = (
            replace(pairs, cosines=pair_cosines(encoder, pairs.sides))
            for pairs in (train, validation)
        )
    boosting = _fit_boosting(train)
    variants = {"boosting": boosting.score(validation.sides, validation.cosines)}
    cross_encoder, share = None, 0.0
    if encoder_source is not None:
        cross_encoder = CrossEncoder(encoder_source, config)
        cross_encoder.fit(train.sides, train.labels.tolist())
        variants["cross-encoder"] = cross_encoder.score(validation.sides)
        share = choose_neural_share(
            validation.labels, variants["boosting"], variants["cross-encoder"]
        )
        variants["kept"] = blend_probabilities(
            variants["boosting"], variants["cross-encoder"], share
        )
    measured = {
        name: measure_pairs(validation.labels, scores, best_threshold(validation.labels, scores)[0])
        for name, scores in variants.items()
    }
    kept = "kept" if "kept" in variants else "boosting"
    final = _fit_boosting(train.joined(validation))
    final.threshold = measured["boosting"].threshold
    threshold = measured[kept].threshold
    return PairTraining(
        scorer=BlendedScorer(final, cross_encoder, share, threshold, encoder),
        metrics=measured,
        validation_scores=variants[kept],
    )


def _fit_boosting(pairs: LabelledPairs) -> PairScorer:
    statistics = TokenStatistics.count(
        pair_tokens(record) for pair in pairs.sides for record in pair
    )
    names, features = feature_matrix(pairs.sides, statistics, pairs.cosines)
    return PairScorer.fit(features, pairs.labels, names, statistics)


def make_probes(scorer: BlendedScorer, pairs: LabelledPairs) -> list[PairProbe]:
    """Returns the pairs with what the trees answer to them, for comparison with a copy."""
    sides = pairs.sides
    cosines = scorer.cosines(sides, pairs.cosines)
    scores = scorer.boosting.score(sides, cosines)
    return [
        PairProbe(
            left=record_to_json(left),
            right=record_to_json(right),
            cosines=cosine,
            probability=float(score),
        )
        for (left, right), cosine, score in zip(sides, cosines, scores, strict=True)
    ]


def print_metrics(title: str, metrics: dict[str, PairMetrics]) -> None:
    """Prints one row a variant."""
    table = Table(title=title)
    for column in ("variant", "precision", "recall", "F1", "PR-AUC", "threshold", "pairs"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    for name, m in metrics.items():
        values = (m.precision, m.recall, m.f1, m.pr_auc, m.threshold)
        table.add_row(name, *(f"{value:.3f}" for value in values), str(m.pair_count))
    Console().print(table)


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.pairs.train", description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True, help="labelled pairs")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--encoder", help="text encoder of the neural variant: hub name or folder")
    parser.add_argument(
        "--encoder-run", type=Path, help="run of a trained encoder, whose cosines become features"
    )
    parser.add_argument("--epochs", type=int, default=4, help="epochs of the neural variant")
    parser.add_argument("--tokens", type=int, default=64, help="tokens that it reads of a pair")
    parser.add_argument(
        "--validation-share", type=float, default=0.1, help="share of E-CUP's pairs to choose on"
    )
    parser.add_argument("--seed", type=int, default=42, help="seed of that share")
    parser.add_argument(
        "--loggers", nargs="+", default=[], choices=("tensorboard", "mlflow"), metavar="NAME",
        help="where figures go as well: tensorboard, mlflow; those of evaluations then too",
    )  # fmt: skip
    parser.add_argument("--mlflow-uri", help="MLflow server; default: a folder of the run")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the command line says; returns 0, or 1 when the data cannot be used."""
    options = _read_options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        config = CrossEncoderConfig(epoch_count=options.epochs, token_count=options.tokens)
        held_out = HeldOutConfig(share=options.validation_share, seed=options.seed)
        train, validation = read_training_pairs(
            options.pairs, held_out, with_encoder=options.encoder_run is not None
        )
        encoder = load_encoder(options.encoder_run) if options.encoder_run else None
        trained = train_pair_scorer(train, validation, options.encoder, config, encoder)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"training the pair scorer failed: {error}\n")
        return 1
    scorer = trained.scorer
    scorer.save(options.output, trained.metrics)
    write_validation(options.output, validation.labels, trained.validation_scores)
    if options.encoder_run:
        keep_encoder(options.encoder_run, options.output)
    rows = range(min(PROBE_COUNT, len(validation.pairs)))
    write_probes(options.output, make_probes(scorer, validation.take(rows)))
    print_metrics(f"{options.pairs.name}, validation", trained.metrics)
    sys.stdout.write(f"neural share {scorer.neural_share:.1f}, saved in {options.output}\n")
    return record_training(options.output, options, options.output / "pairs.json")


if __name__ == "__main__":
    sys.exit(main())
