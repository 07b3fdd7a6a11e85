"""Scores a held-out file of pairs with a finished scorer.

Run: python -m training.pairs.evaluate --run runs/pairs --pairs test.txt [--explain 3]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from training.pairs.blend import BlendedScorer, measure_pairs
from training.pairs.train import load_pairs, print_metrics


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluates as the command line says; returns 0, or 1 when the files cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training.pairs.evaluate", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the trained scorer")
    parser.add_argument("--pairs", type=Path, required=True, help="file of labelled pairs")
    parser.add_argument("--explain", type=int, default=0, metavar="N", help="explain N mistakes")
    options = parser.parse_args(arguments)
    try:
        scorer = BlendedScorer.load(options.run)
        pairs = load_pairs(options.pairs)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"evaluating the pair scorer failed: {error}\n")
        return 1
    labels = np.array([pair.is_match for pair in pairs])
    scores = scorer.score([(pair.left, pair.right) for pair in pairs])
    metrics = measure_pairs(labels, scores, scorer.threshold)
    print_metrics(str(options.pairs), {"kept": metrics})
    report = options.run / f"evaluation-{options.pairs.stem}.json"
    report.write_text(json.dumps(asdict(metrics), indent=2) + "\n")
    worst = np.argsort(-np.abs(scores - labels))[: options.explain]
    mistakes = [pairs[i] for i in worst]
    cosines = scorer.cosines([(pair.left, pair.right) for pair in mistakes]) if mistakes else []
    for i, pair, cosine in zip(worst, mistakes, cosines, strict=True):
        sys.stdout.write(f"\n{'match' if pair.is_match else 'no match'}, scored {scores[i]:.2f}\n")
        sys.stdout.write(f"  left:  {pair.left.title}\n  right: {pair.right.title}\n")
        for part in scorer.boosting.explain(pair.left, pair.right, cosine)[:5]:
            sys.stdout.write(f"  {part.log_odds:+.2f}  {part.feature} = {part.value:.3g}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
