"""What a run learns from and is validated on: prepared tables, read and split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.splits import split_validation
from twinshelf.training.catalogues.table import read_table
from twinshelf.training.data.data_config import DataConfig
from twinshelf.training.preprocessing.settings import TEXT_FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Products by what they are for.

    Attributes:
        train: Offers and products learnt from.
        validation: Offers that early stopping and the fusion weight are chosen by; none of them
            is in `train`.
        gallery: Catalogue products that are searched.
    """

    train: tuple[Product, ...]
    validation: tuple[Product, ...]
    gallery: tuple[Product, ...]


def load_training_data(config: DataConfig, seed: int) -> TrainingData:
    """Reads the three tables and keeps a part of the training rows for validation.

    Raises:
        FileNotFoundError: If a table is missing.
        ValueError: If a table has a row that `training.prepare` would not have written.
    """
    folder = Path(config.folder)
    tables = {name: _read(folder / f"{name}.parquet") for name in ("train", "queries", "gallery")}
    train, validation = split_validation(
        tables["train"], tables["gallery"], tables["queries"], config.validation_share, seed
    )
    return TrainingData(train=train, validation=validation, gallery=tables["gallery"])


def text_fields(product: Product) -> dict[str, str | Mapping[str, str]]:
    """Returns the fields of a product that can be embedded, by name."""
    return {name: getattr(product, name) for name in TEXT_FIELDS}


def _read(path: Path) -> tuple[Product, ...]:
    if not path.is_file():
        raise FileNotFoundError(f"no table {path}: run training.prepare first")
    products = []
    for row in read_table(path):
        if isinstance(row, BadRow):
            raise ValueError(f"{row}; prepare the data again")
        products.append(row)
    return tuple(products)
