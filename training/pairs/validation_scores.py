"""Scores of the validation pairs, kept from before the trees learnt from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.whole_file import written_whole

Floats = npt.NDArray[np.float64]
SCORES = "validation_scores.npz"


def write_validation(folder: Path, labels: npt.NDArray[np.bool_], scores: Floats) -> None:
    """Writes labels and probabilities of the validation pairs, (P,) each, to a scorer's folder."""
    with written_whole(folder / SCORES) as partial, partial.open("wb") as file:
        np.savez_compressed(file, labels=labels, scores=scores)


def read_validation(folder: Path) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Returns labels and probabilities, 0 to 1, of the validation pairs, (P,) each.

    Raises:
        FileNotFoundError: If the folder holds none.
    """
    path = folder / SCORES
    if not path.is_file():
        raise FileNotFoundError(f"no {SCORES} in {folder}: run training.pairs.train first")
    with np.load(path) as found:
        return found["labels"], found["scores"]
