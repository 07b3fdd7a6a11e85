"""Trains the encoder on prepared data, and saves it.

Run: python -m twinshelf.training.train --config demo --data.folder FOLDER --output runs/demo
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twinshelf.training.config import read_config

if TYPE_CHECKING:
    from twinshelf.training.runs.training_run import TrainingSummary

STOPPED = 143  # 128 + SIGTERM, as a shell reports it


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the command line says.

    Returns:
        0 after training, 1 when it could not be done, 143 when SIGTERM stopped it; the reason is on
        standard error.
    """
    config = read_config(sys.argv[1:] if arguments is None else arguments)
    # Here, since it takes seconds: a wrong value is told of at once.
    from lightning.pytorch.utilities import rank_zero_only
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    from twinshelf.training.loop.trainer import LAST
    from twinshelf.training.runs.training_run import train

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # Lightning tells of its plans, devices and products; the folder of a run is never empty.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning.*")
    # Loader processes are forked after the tokenizer was used, which its threads do not survive.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        summary = train(config)
    except SIGTERMException:  # a SystemExit, which would end the process with status 0
        can_go_on = (Path(config.output) / LAST).is_file()
        told = (
            "--resume goes on from its last epoch" if can_go_on else "its first epoch had not ended"
        )
        sys.stderr.write(f"training was stopped by SIGTERM; {told}\n")
        return STOPPED
    except (ValueError, OSError) as error:
        sys.stderr.write(f"training failed: {error}\n")
        return 1
    rank_zero_only(report)(summary, config.output)
    return 0


def report(summary: TrainingSummary, folder: str) -> None:
    """Prints what a run came to."""
    for pattern, recall in summary.recall_at_1.items():
        sys.stdout.write(f"validation recall@1 by {pattern}: {recall:.3f}\n")
    sys.stdout.write(
        f"fusion weight {summary.fusion_weight:.3g}, {summary.epoch_count} epochs in "
        f"{summary.duration_s:.0f} s, saved in {folder}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
