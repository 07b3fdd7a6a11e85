"""Training of the pair scorer: its variants, and the one that validation prefers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.console import Console

from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.evaluation.intervals import Estimate
from twinshelf.training.pairs.blend import (
    BlendedScorer,
    PairMetrics,
    blend_probabilities,
    choose_neural_share,
    measure_pairs,
    try_on_halves,
)
from twinshelf.training.pairs.cosines import pair_cosines
from twinshelf.training.pairs.cross_encoder import CrossEncoder
from twinshelf.training.pairs.labelled_pairs import LabelledPairs
from twinshelf.training.pairs.pair_config import CrossEncoderConfig
from twinshelf.training.pairs.probes import PairProbe
from twinshelf.training.pairs.read_record import pair_tokens
from twinshelf.training.pairs.records import record_to_json
from twinshelf.training.pairs.scorer import Floats, PairScorer, best_threshold, describe_pairs
from twinshelf.training.pairs.statistics import TokenStatistics
from twinshelf.training.retrieval.scored_pairs import Bools
from twinshelf.training.runs.figures import figure_table, figure_text


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairTraining:
    """What training came to.

    Attributes:
        scorer: The kept scorer; its trees have learnt from the validation pairs, too.
        metrics: Variant to its metrics on the validation pairs, before it learnt from them.
        carried: "F1" and "threshold" of the kept variant, on pairs that did not choose it.
    """

    scorer: BlendedScorer
    metrics: dict[str, PairMetrics]
    carried: dict[str, Estimate]


def train_pair_scorer(
    train: LabelledPairs,
    validation: LabelledPairs,
    encoder_source: str | None,
    config: CrossEncoderConfig,
    encoder: TrainedEncoder | None = None,
) -> PairTraining:
    """Fits the variants on the training pairs; share and threshold come from the validation pairs.

    Once these are chosen, the trees are grown anew from both: more pairs to learn from, at a
    threshold that was chosen for fewer.

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
    calibrated = {"boosting", "kept"} if share == 0 else {"boosting"}
    choosers = {name: _half_f1 if name in calibrated else _best for name in variants}
    measured = {
        name: measure_pairs(validation.labels, scores, choosers[name](validation.labels, scores))
        for name, scores in variants.items()
    }
    kept = "kept" if "kept" in variants else "boosting"
    final = _fit_boosting(train.joined(validation))
    return PairTraining(
        scorer=BlendedScorer(
            boosting=replace(final, threshold=measured["boosting"].threshold),
            cross_encoder=cross_encoder,
            neural_share=share,
            threshold=measured[kept].threshold,
            encoder=encoder,
        ),
        metrics=measured,
        carried=try_on_halves(validation.labels, variants[kept], choosers[kept]),
    )


def _half_f1(labels: Bools, scores: Floats) -> float:
    """Returns half of the highest F1: where the expected F1 of calibrated probabilities is highest.

    It hangs on all pairs, the best threshold of a sample on the few about it, so it varies less and
    carries over better. The cross-encoder is not calibrated: matches weigh more in its loss.

    Source: Lipton et al., Optimal thresholding of classifiers to maximize F1 measure (ECML 2014).
    """
    return best_threshold(labels, scores)[1] / 2


def _best(labels: Bools, scores: Floats) -> float:
    return best_threshold(labels, scores)[0]


def _fit_boosting(pairs: LabelledPairs) -> PairScorer:
    statistics = TokenStatistics.count(
        pair_tokens(record) for pair in pairs.sides for record in pair
    )
    names, features = describe_pairs(pairs.sides, statistics, pairs.cosines)
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


def print_metrics(title: str, metrics: dict[str, PairMetrics], caption: str = "") -> None:
    """Prints one row a variant."""
    rows = {
        name: [
            *map(figure_text, (m.precision, m.recall, m.f1, m.pr_auc, m.threshold)),
            str(m.pair_count),
        ]
        for name, m in metrics.items()
    }
    columns = ("variant", "precision", "recall", "F1", "PR-AUC", "threshold", "pairs")
    Console().print(figure_table(title, columns, rows, caption=caption))
