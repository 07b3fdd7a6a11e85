"""Trains the encoder on prepared data, and saves it.

Run: python -m training.train --config demo --data.folder .cache/data/generated --output runs/demo
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence

from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from training.config import read_config
from training.run import TrainingSummary, train

STOPPED = 143  # 128 + SIGTERM, as a shell reports it


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the command line says.

    Returns:
        0 after training, 1 when it could not be done, 143 when SIGTERM stopped it; the reason is on
        standard error.
    """
    config = read_config(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # Lightning tells of its plans, devices and products; the folder of a run is never empty.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning.*")
    # Loader processes are forked after the tokenizer was used, which its threads do not survive.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        summary = train(config)
    except SIGTERMException:  # a SystemExit, which would end the process with status 0
        sys.stderr.write("training was stopped by SIGTERM; --resume=true goes on from there\n")
        return STOPPED
    except (ValueError, OSError) as error:
        sys.stderr.write(f"training failed: {error}\n")
        return 1
    report(summary, config.output)
    return 0


@rank_zero_only
def report(summary: TrainingSummary, folder: str) -> None:
    """Prints what a run came to, on one process of a distributed run."""
    for pattern, recall in summary.recall_at_1.items():
        sys.stdout.write(f"validation recall@1 by {pattern}: {recall:.3f}\n")
    sys.stdout.write(
        f"fusion weight {summary.fusion_weight:.3g}, {summary.epoch_count} epochs in "
        f"{summary.duration_s:.0f} s, saved in {folder}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
