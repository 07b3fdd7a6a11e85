"""Scores held-out pairs with a finished scorer.

Run: python -m twinshelf.training.pairs.evaluate_pairs --run runs/pairs --pairs FILE_OR_FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from twinshelf.training.command_line import run_command


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEvaluationOptions:
    """Scores held-out pairs with a finished scorer; the run keeps evaluation-NAME.json.

    A file of pairs is in Ditto's form, or a Parquet file of E-CUP's pairs that lies beside E-CUP's
    tables; a folder holds these tables, its train.parquet is scored. Give pairs that the scorer was
    not trained on, so not the folder that it was trained on.

    Attributes:
        run: Folder of the trained scorer.
        pairs: Labelled pairs.
        explain: Mistakes to explain, the worst first.
    """

    run: Path
    pairs: Path
    explain: Annotated[int, "0 or more"] = 0


def evaluate(options: PairEvaluationOptions) -> None:
    """Scores the pairs, saves and tracks the figures, and explains the worst mistakes."""
    import numpy as np

    from twinshelf.training.pairs.blend import BlendedScorer, measure_pairs
    from twinshelf.training.pairs.labelled_pairs import read_pairs
    from twinshelf.training.pairs.pair_run import scorer_run
    from twinshelf.training.pairs.pair_training import print_metrics
    from twinshelf.training.runs.tracking import Outcome, save_outcome

    scorer = BlendedScorer.load(options.run)
    pairs = read_pairs(options.pairs, with_vectors=scorer.needs_vectors)
    labels = pairs.labels
    scores = scorer.score(pairs.sides, pairs.cosines)
    metrics = measure_pairs(labels, scores, scorer.threshold)
    print_metrics(str(options.pairs), {"kept": metrics})
    name = options.pairs.resolve().name if options.pairs.is_dir() else options.pairs.stem
    worst = np.argsort(-np.abs(scores - labels))[: options.explain]
    mistakes = pairs.take(worst)
    cosines = scorer.cosines(mistakes.sides, mistakes.cosines) if mistakes.pairs else []
    for i, pair, cosine in zip(worst, mistakes.pairs, cosines, strict=True):
        sys.stdout.write(f"\n{'match' if pair.is_match else 'no match'}, scored {scores[i]:.2f}\n")
        sys.stdout.write(f"  left:  {pair.left.title}\n  right: {pair.right.title}\n")
        for part in scorer.boosting.explain(pair.left, pair.right, cosine)[:5]:
            sys.stdout.write(f"  {part.log_odds:+.2f}  {part.feature} = {part.value:.3g}\n")
    step = f"evaluation-{name}"
    outcome = Outcome(name=step, results=options.run / f"{step}.json")
    save_outcome(scorer_run(options.run), outcome, metrics)


main = partial(
    run_command, PairEvaluationOptions, "twinshelf.training.pairs.evaluate_pairs", evaluate
)

if __name__ == "__main__":
    sys.exit(main())
