"""What a run learns from and is validated on: prepared tables, read and split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.catalogues.table import read_table
from training.product import BadRow, Product


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the data lie and how they are fed.

    Attributes:
        folder: Folder that `training.prepare` wrote.
        pixel_cache: Folder of decoded photos.
        validation_share: Share of the training groups (of the training offers, when the queries
            show groups that are also trained on) kept for validation, 0 to 0.5; 0 trains on all.
        worker_count: Processes that augment; 0 does it in the main one.
        embedding_batch_size: Rows embedded at once in validation.

    Raises:
        ValueError: If a value is out of range.
    """

    folder: str = ".cache/data/generated"
    pixel_cache: str = ".cache/pixels"
    validation_share: float = 0.1
    worker_count: int = 0
    embedding_batch_size: int = 64

    def __post_init__(self) -> None:
        """Checks the ranges."""
        if not 0 <= self.validation_share <= 0.5:
            raise ValueError(f"data.validation_share must be 0 to 0.5, got {self.validation_share}")
        if self.worker_count < 0:
            raise ValueError(f"data.worker_count must be 0 or more, got {self.worker_count}")
        if self.embedding_batch_size < 1:
            raise ValueError(
                f"data.embedding_batch_size must be 1 or more, got {self.embedding_batch_size}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Products by what they are for.

    Attributes:
        train: Offers and products learnt from.
        validation: Offers that early stopping and the fusion weight are judged by; none of them
            is in `train`.
        gallery: Catalogue products that are searched.
        queries: Held-out offers; training never looks at them.
    """

    train: tuple[Product, ...]
    validation: tuple[Product, ...]
    gallery: tuple[Product, ...]
    queries: tuple[Product, ...]


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
    return TrainingData(
        train=train, validation=validation, gallery=tables["gallery"], queries=tables["queries"]
    )


def split_validation(
    train: Sequence[Product],
    gallery: Sequence[Product],
    queries: Sequence[Product],
    share: float,
    seed: int,
) -> tuple[tuple[Product, ...], tuple[Product, ...]]:
    """Takes validation offers out of the training rows, of the kind that the queries are.

    When the queries show groups unseen in training, whole groups are taken; when they show groups
    that are trained on, single offers are, and each group keeps one at least. Only groups with a
    product in the gallery are taken, and catalogue products themselves never become queries.

    Args:
        train: Rows to split.
        gallery: Catalogue products.
        queries: Held-out offers.
        share: Share to take, 0 to 0.5.
        seed: Seed of the choice.

    Returns:
        The rows left to train on, and the validation offers.
    """
    catalogue_ids = {product.product_id for product in gallery}
    catalogue_groups = {product.group for product in gallery if product.group}
    offers: Mapping[str, list[Product]] = defaultdict(list)
    for product in train:
        if product.group in catalogue_groups and product.product_id not in catalogue_ids:
            offers[product.group].append(product)
    generator = np.random.default_rng(seed)
    if {query.group for query in queries} & {product.group for product in train}:
        spare = sorted(p.product_id for rows in offers.values() for p in _without_first(rows))
        taken = set(_draw(spare, share, generator))
        validation = tuple(p for p in train if p.product_id in taken)
        return tuple(p for p in train if p.product_id not in taken), validation
    groups = set(_draw(sorted(offers), share, generator))
    validation = tuple(offer for group in sorted(groups) for offer in offers[group])
    return tuple(p for p in train if p.group not in groups), validation


def text_fields(product: Product) -> dict[str, str | Mapping[str, str]]:
    """Returns the fields of a product that can be embedded, by name."""
    return {
        "title": product.title,
        "brand": product.brand,
        "category": product.category,
        "description": product.description,
        "attributes": product.attributes,
    }


def _without_first(rows: list[Product]) -> list[Product]:
    return sorted(rows, key=lambda product: product.product_id)[1:]


def _draw(names: list[str], share: float, generator: np.random.Generator) -> list[str]:
    return [names[i] for i in generator.permutation(len(names))[: round(share * len(names))]]


def _read(path: Path) -> tuple[Product, ...]:
    if not path.is_file():
        raise FileNotFoundError(f"no table {path}: run training.prepare first")
    products = []
    for row in read_table(path):
        if isinstance(row, BadRow):
            raise ValueError(f"{row}; prepare the data again")
        products.append(row)
    return tuple(products)
