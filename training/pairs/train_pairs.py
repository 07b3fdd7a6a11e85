"""Trains the pair scorer on labelled pairs and keeps the variant that validation prefers.

Run: python -m twinshelf.training.pairs.train_pairs --pairs FILE_OR_FOLDER --output runs/pairs
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from twinshelf.training.command_line import run_command
from twinshelf.training.pairs.pair_config import CrossEncoderConfig, HeldOutConfig

PROBE_COUNT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTrainingOptions:
    """Trains the pair scorer on labelled pairs and keeps the variant that validation prefers.

    A folder of pairs holds train.txt and valid.txt in Ditto's form, or the tables of Ozon's E-CUP
    matching: train.parquet, attributes.parquet, text_and_bert.parquet and, for the cosines of
    precomputed vectors, resnet.parquet. A Parquet file beside these tables takes the place of
    train.parquet: all pairs are kept in memory, so take a sample of very many. Of E-CUP's pairs a
    share is held out to choose on, whose products are in no other pair where that can be.

    Attributes:
        pairs: Labelled pairs.
        output: Folder of the run.
        encoder: Text encoder of the neural variant: hub name or folder; default: no such variant.
        encoder_run: Run of a trained encoder, whose cosines become features.
        cross_encoder: How that is fine-tuned.
        held_out: How the pairs to choose on are drawn.
        loggers: Where figures go as well; those of evaluations then too.
    """

    pairs: Path
    output: Path
    cross_encoder: CrossEncoderConfig
    held_out: HeldOutConfig
    encoder: str | None = None
    encoder_run: Path | None = None
    loggers: tuple[Literal["tensorboard", "mlflow"], ...] = ()


def train_scorer(options: PairTrainingOptions) -> None:
    """Trains the scorer, and saves and tracks what it came to."""
    from twinshelf.training.checkpoint import load_encoder
    from twinshelf.training.pairs.blend import keep_encoder
    from twinshelf.training.pairs.labelled_pairs import read_training_pairs
    from twinshelf.training.pairs.pair_run import record_training
    from twinshelf.training.pairs.pair_training import make_probes, print_metrics, train_pair_scorer
    from twinshelf.training.pairs.probes import write_probes

    output, run = options.output, options.encoder_run
    train, validation = read_training_pairs(
        options.pairs, options.held_out, with_encoder=run is not None
    )
    encoder = load_encoder(run) if run else None
    trained = train_pair_scorer(train, validation, options.encoder, options.cross_encoder, encoder)
    scorer = trained.scorer
    scorer.save(output, trained.metrics, trained.carried)
    if run:
        keep_encoder(run, output)
    rows = range(min(PROBE_COUNT, len(validation.pairs)))
    write_probes(output, make_probes(scorer, validation.take(rows)))
    told = ", ".join(f"{name} {estimate}" for name, estimate in trained.carried.items())
    caption = f"kept, tried on halves that did not choose the threshold: {told}"
    print_metrics(f"{options.pairs.name}, validation", trained.metrics, caption)
    sys.stdout.write(f"neural share {scorer.neural_share:.1f}, saved in {output}\n")
    settings = asdict(options)
    # Flat, as typed; of the two seeds the one that is an option is the held-out pairs'.
    settings |= {**settings.pop("cross_encoder"), **settings.pop("held_out")}
    record_training(output, settings, output / "pairs.json")


main = partial(
    run_command, PairTrainingOptions, "twinshelf.training.pairs.train_pairs", train_scorer
)

if __name__ == "__main__":
    sys.exit(main())
