"""Scores held-out pairs with a finished scorer.

Run: python -m training.pairs.evaluate --run runs/pairs --pairs FILE_OR_FOLDER [--explain 3]
FILE is in Ditto's form, or a Parquet file of E-CUP's pairs that lies beside E-CUP's tables; FOLDER
holds these tables, its train.parquet is scored. Give pairs that the scorer was not trained on, so
not the folder that it was trained on. The metrics go into the run as evaluation-NAME.json.
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
from training.pairs.labelled_pairs import read_pairs
from training.pairs.run_record import record_evaluation
from training.pairs.train import print_metrics
from training.whole_file import write_whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluates as the command line says; returns 0, or 1 when the files cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training.pairs.evaluate", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the trained scorer")
    parser.add_argument("--pairs", type=Path, required=True, help="labelled pairs")
    parser.add_argument("--explain", type=int, default=0, metavar="N", help="explain N mistakes")
    options = parser.parse_args(arguments)
    try:
        scorer = BlendedScorer.load(options.run)
        pairs = read_pairs(options.pairs, with_vectors=scorer.needs_vectors)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"evaluating the pair scorer failed: {error}\n")
        return 1
    labels = pairs.labels
    scores = scorer.score(pairs.sides, pairs.cosines)
    metrics = measure_pairs(labels, scores, scorer.threshold)
    print_metrics(str(options.pairs), {"kept": metrics})
    name = options.pairs.resolve().name if options.pairs.is_dir() else options.pairs.stem
    report = options.run / f"evaluation-{name}.json"
    write_whole(report, json.dumps(asdict(metrics), indent=2) + "\n")
    worst = np.argsort(-np.abs(scores - labels))[: options.explain]
    mistakes = pairs.take(worst)
    cosines = scorer.cosines(mistakes.sides, mistakes.cosines) if mistakes.pairs else []
    for i, pair, cosine in zip(worst, mistakes.pairs, cosines, strict=True):
        sys.stdout.write(f"\n{'match' if pair.is_match else 'no match'}, scored {scores[i]:.2f}\n")
        sys.stdout.write(f"  left:  {pair.left.title}\n  right: {pair.right.title}\n")
        for part in scorer.boosting.explain(pair.left, pair.right, cosine)[:5]:
            sys.stdout.write(f"  {part.log_odds:+.2f}  {part.feature} = {part.value:.3g}\n")
    return record_evaluation(options.run, report)


if __name__ == "__main__":
    sys.exit(main())
