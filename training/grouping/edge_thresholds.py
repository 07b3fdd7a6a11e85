"""Thresholds of the kinds of evidence, tuned together on a labelled catalogue."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twinshelf.training.grouping.evidence import LEFT_OUT, Evidence, group_by
from twinshelf.training.grouping.group_scores import evaluate_groups
from twinshelf.training.grouping.grouping_config import GroupingConfig
from twinshelf.training.retrieval.embeddings import PATTERNS

logger = logging.getLogger(__name__)

CANDIDATE_COUNT = 16
MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedThresholds:
    """Thresholds that were tuned together.

    Attributes:
        thresholds: Modality pattern to the lowest score it accepts; infinity leaves it out.
        row_f1: F1 per row on the catalogue that tuned them, 0 to 1.
    """

    thresholds: Mapping[str, float]
    row_f1: float


def tune_thresholds(
    evidence: Evidence,
    actual: Sequence[str],
    start: Mapping[str, float],
    config: GroupingConfig,
) -> TunedThresholds:
    """Moves one threshold at a time to where the groups have the best F1 per row.

    A threshold is moved among quantiles of the scores of the right pairs;
    of equal F1 the highest stays. It ends when a round over all patterns changes nothing.

    Args:
        evidence: Possible edges of the labelled catalogue.
        actual: Right group of each product; "" where unknown.
        start: Thresholds to begin with.
        config: The guards.

    Raises:
        ValueError: If no right group has two products: there is nothing to tune by.
    """
    groups = [group for group in actual if group]
    if len(set(groups)) == len(groups):
        raise ValueError("thresholds need a labelled group of two products or more, got none")
    thresholds = {pattern: start.get(pattern, LEFT_OUT) for pattern in evidence.edges}
    best = _row_f1(evidence, actual, thresholds, config)
    for _ in range(MOST_ROUNDS):
        before = dict(thresholds)
        for pattern in thresholds:
            for candidate in _candidates(evidence, actual, pattern):
                found = _row_f1(evidence, actual, {**thresholds, pattern: candidate}, config)
                if found > best + 1e-9:
                    best, thresholds[pattern] = found, candidate
        if thresholds == before:
            break
    logger.info("tuned thresholds %s: F1 per row %.3f", thresholds, best)
    return TunedThresholds(thresholds=thresholds, row_f1=best)


def read_thresholds(path: Path) -> dict[str, float]:
    """Reads the thresholds out of the results of a grouping; null leaves a pattern out.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has none, or of unknown patterns.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no results of a grouping at {path}")
    try:
        thresholds = {
            str(pattern): LEFT_OUT if value is None else float(value)
            for pattern, value in json.loads(path.read_text("utf-8"))["thresholds"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not of a grouping: {error!r}") from error
    if unknown := sorted(set(thresholds) - set(PATTERNS)):
        raise ValueError(f"thresholds are of {PATTERNS}, got {unknown[0]!r}")
    return thresholds


def _row_f1(
    evidence: Evidence,
    actual: Sequence[str],
    thresholds: Mapping[str, float],
    config: GroupingConfig,
) -> float:
    quality = evaluate_groups(group_by(evidence, thresholds, config).numbers, actual)
    return quality.row_f1 if quality else float("nan")


def _candidates(evidence: Evidence, actual: Sequence[str], pattern: str) -> list[float]:
    """Returns thresholds to try, from none accepted to nearly all right pairs accepted."""
    edges = evidence.edges[pattern]
    labels = np.array(actual, dtype=np.str_)
    is_right = (labels[edges.left] == labels[edges.right]) & (labels[edges.left] != "")
    if not is_right.any():
        return [LEFT_OUT]
    shares = np.linspace(0.98, 0.02, CANDIDATE_COUNT)
    return [LEFT_OUT, *np.unique(np.quantile(edges.scores[is_right], shares))[::-1].tolist()]
