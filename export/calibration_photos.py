"""The photos that an int8 version is measured on: those that its training began with."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table

TRAINING_TABLE = "train.parquet"
# Half to measure the ranges of activations on, half to choose by.
CALIBRATION_PHOTOS = 64


def list_calibration_photos(table: Path) -> list[Path]:
    """Returns the first photos of a training table that are there; none without the table."""
    rows = read_table(table) if table.is_file() else ()
    photos = (row.images[0] for row in rows if isinstance(row, Product) and row.images)
    return list(islice(filter(Path.is_file, photos), CALIBRATION_PHOTOS))
