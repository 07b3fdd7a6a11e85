"""Trains the pair scorer on labelled pairs and keeps the variant that validation prefers.

Run: python -m training.pairs.train --pairs FOLDER --output runs/pairs [--encoder FOLDER]
    [--encoder-run runs/NAME]
FOLDER holds train.txt and valid.txt in Ditto's form.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from training.catalogues.entity_pairs import ProductPair, read_entity_pairs
from training.checkpoint import TrainedEncoder, load_encoder
from training.pairs.blend import (
    BlendedScorer,
    PairMetrics,
    blend_probabilities,
    choose_neural_share,
    keep_encoder,
    measure_pairs,
)
from training.pairs.cosines import pair_cosines
from training.pairs.cross_encoder import CrossEncoder, CrossEncoderConfig
from training.pairs.features import feature_matrix, pair_tokens
from training.pairs.probes import PairProbe, write_probes
from training.pairs.records import record_to_json
from training.pairs.scorer import PairScorer, best_threshold
from training.pairs.statistics import TokenStatistics
from training.product import BadRow

PROBE_COUNT = 256

logger = logging.getLogger(__name__)


def load_pairs(path: Path) -> list[ProductPair]:
    """Returns the pairs of a file; lines that are none are logged and skipped.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If no line of it is a pair, or all are of one class.
    """
    rows = list(read_entity_pairs(path))
    for bad in (row for row in rows if isinstance(row, BadRow)):
        logger.warning("skipped %s", bad)
    pairs = [row for row in rows if isinstance(row, ProductPair)]
    if len({pair.is_match for pair in pairs}) < 2:
        raise ValueError(
            f"{path} needs matches and non-matches, got {len(pairs)} pairs of one class"
        )
    return pairs


def train_pair_scorer(
    train: Sequence[ProductPair],
    validation: Sequence[ProductPair],
    encoder_source: str | None,
    config: CrossEncoderConfig,
    encoder: TrainedEncoder | None = None,
) -> tuple[BlendedScorer, dict[str, PairMetrics]]:
    """Fits the variants on the training pairs; share and threshold come from the validation pairs.

    Args:
        train: Pairs to learn from.
        validation: Pairs to choose on.
        encoder_source: Pretrained text encoder for the neural variant; None leaves it out.
        config: How that is fine-tuned.
        encoder: Gives the cosines among the features; None leaves them unknown.

    Returns:
        The kept scorer, and the validation metrics of each variant.
    """
    sides = [[(pair.left, pair.right) for pair in pairs] for pairs in (train, validation)]
    labels = [np.array([pair.is_match for pair in pairs]) for pairs in (train, validation)]
    records = (record for pair in sides[0] for record in pair)
    statistics = TokenStatistics.count(pair_tokens(record) for record in records)
    cosines = [pair_cosines(encoder, pairs) if encoder else None for pairs in sides]
    names, features = feature_matrix(sides[0], statistics, cosines[0])
    boosting = PairScorer.fit(features, labels[0], names, statistics)
    variants = {"boosting": boosting.score(sides[1], cosines[1])}
    cross_encoder, share = None, 0.0
    if encoder_source is not None:
        cross_encoder = CrossEncoder(encoder_source, config)
        cross_encoder.fit(sides[0], labels[0].tolist())
        variants["cross-encoder"] = cross_encoder.score(sides[1])
        share = choose_neural_share(labels[1], variants["boosting"], variants["cross-encoder"])
        variants["kept"] = blend_probabilities(
            variants["boosting"], variants["cross-encoder"], share
        )
    measured = {
        name: measure_pairs(labels[1], scores, best_threshold(labels[1], scores)[0])
        for name, scores in variants.items()
    }
    kept = measured.get("kept", measured["boosting"])
    boosting.threshold = measured["boosting"].threshold
    return BlendedScorer(boosting, cross_encoder, share, kept.threshold, encoder), measured


def make_probes(scorer: BlendedScorer, pairs: Sequence[ProductPair]) -> list[PairProbe]:
    """Returns the pairs with what the trees answer to them, for comparison with a copy."""
    sides = [(pair.left, pair.right) for pair in pairs]
    cosines = scorer.cosines(sides)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the command line says; returns 0, or 1 when the data cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training.pairs.train", description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True, help="folder of train.txt, valid.txt")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--encoder", help="text encoder of the neural variant: hub name or folder")
    parser.add_argument(
        "--encoder-run", type=Path, help="run of a trained encoder, whose cosines become features"
    )
    parser.add_argument("--epochs", type=int, default=4, help="epochs of the neural variant")
    parser.add_argument("--tokens", type=int, default=64, help="tokens that it reads of a pair")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        config = CrossEncoderConfig(epoch_count=options.epochs, token_count=options.tokens)
        train, validation = (load_pairs(options.pairs / f"{n}.txt") for n in ("train", "valid"))
        encoder = load_encoder(options.encoder_run) if options.encoder_run else None
        scorer, metrics = train_pair_scorer(train, validation, options.encoder, config, encoder)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"training the pair scorer failed: {error}\n")
        return 1
    scorer.save(options.output, metrics)
    if options.encoder_run:
        keep_encoder(options.encoder_run, options.output)
    write_probes(options.output, make_probes(scorer, validation[:PROBE_COUNT]))
    print_metrics(f"{options.pairs.name}, validation", metrics)
    sys.stdout.write(f"neural share {scorer.neural_share:.1f}, saved in {options.output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
