"""Number formats that towers are published in: how near to training each must stay.

Besides the photos that int8 is measured on: those that training began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table

TRAINING_TABLE = "train.parquet"
# Half to measure the ranges of activations on, half to choose by.
CALIBRATION_PHOTOS = 64
Precision = Literal["fp32", "int8", "int8-vnni", "fp16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityBounds:
    """How far a published encoder may be from the trained one.

    Attributes:
        difference: Largest difference of two numbers of unit embeddings.
        least_cosine: Least cosine of the two embeddings of a real row.
        probe_cosine: The same of a probe, whose noise is like nothing that ranges were measured on.
        mean_cosine: Least mean over the real rows; over the probes where there is no data.
        metric_loss: Most that a retrieval metric may lose, 0 to 1; 0 asks for equal ranks.
        score_shift: Most that the scores of true matches may move, on average: thresholds and
            probabilities were fitted to the scores of training.
    """

    difference: float
    least_cosine: float
    probe_cosine: float
    mean_cosine: float
    metric_loss: float
    score_shift: float


_INT8: Final = ParityBounds(
    difference=2.0,
    least_cosine=0.9,
    probe_cosine=0.5,
    mean_cosine=0.98,
    metric_loss=0.005,
    score_shift=0.02,
)
# fp32: rounding of two runtimes that sum in another order; what a wrong filter, mean or mask leaves
# behind is a hundred times larger. The others: what they cost is a matter of degree. Of
# MobileNetV2 at 224 px, for one, float16 keeps a cosine of .9997.
BOUNDS: Final[Mapping[Precision, ParityBounds]] = {
    "fp32": ParityBounds(
        difference=1e-4,
        least_cosine=0.9999,
        probe_cosine=0.9999,
        mean_cosine=0.9999,
        metric_loss=0.0,
        score_shift=1e-4,
    ),
    "fp16": ParityBounds(
        difference=2.0,
        least_cosine=0.999,
        probe_cosine=0.99,
        mean_cosine=0.999,
        metric_loss=0.005,
        score_shift=1e-3,
    ),
    "int8": _INT8,
    "int8-vnni": _INT8,
}


def list_calibration_photos(table: Path) -> list[Path]:
    """Returns the first photos of a training table that are there; none without the table."""
    rows = read_table(table) if table.is_file() else ()
    photos = (row.images[0] for row in rows if isinstance(row, Product) and row.images)
    return list(islice(filter(Path.is_file, photos), CALIBRATION_PHOTOS))
