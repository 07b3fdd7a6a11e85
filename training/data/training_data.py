"""What a run learns from and is validated on: prepared tables, mapped and split."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinshelf.training.catalogues.mapped_products import (
    MappedProducts,
    Numbers,
    map_table,
    number_texts,
)
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.splits import split_validation
from twinshelf.training.data.data_config import DataConfig
from twinshelf.training.preprocessing.settings import TEXT_FIELDS

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingRows:
    """Products with what a batch needs to know of them.

    Attributes:
        products: N products.
        labels: Number of the group of each (N); a product without a group is one of its own.
        is_catalogue: Which of them are catalogue products (N).
    """

    products: MappedProducts
    labels: Numbers
    is_catalogue: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.products)

    def take(self, places: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> TrainingRows:
        """Returns some of them, chosen by place or by a mask."""
        return TrainingRows(
            products=self.products.take(places),
            labels=self.labels[places],
            is_catalogue=self.is_catalogue[places],
        )

    def some_groups(self, row_count: int) -> TrainingRows:
        """Returns whole groups, evenly drawn, of about `row_count` rows; all of fewer."""
        step = max(1, len(self) // row_count)
        return self.take(self.labels % step == 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingData:
    """Products by what they are for.

    Attributes:
        train: Offers and products learnt from; their labels come first, from 0.
        validation: Offers that early stopping and the fusion weight are chosen by; none of them
            is in `train`.
        gallery: Catalogue products that these are searched among.
    """

    train: TrainingRows
    validation: TrainingRows
    gallery: TrainingRows

    @property
    def group_count(self) -> int:
        """Groups that are learnt from."""
        return int(self.train.labels.max(initial=-1)) + 1


def load_training_data(config: DataConfig, seed: int) -> TrainingData:
    """Maps the three tables and keeps a part of the training rows for validation.

    Raises:
        FileNotFoundError: If a table is missing.
        ValueError: If it is none that `make data` writes, or there are no two groups to tell apart.
    """
    paths = [Path(config.folder) / f"{name}.parquet" for name in ("train", "queries", "gallery")]
    if missing := [path for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"no table {missing[0]}: run `make data` first")
    train, queries, gallery = map(map_table, paths)
    share = min(config.validation_share, config.validation_limit / max(1, len(train)))
    kept, validation = split_validation(train, gallery, queries, share, seed)
    if share > 0 and not len(validation):
        logger.warning(
            "no validation offers: all offers that could be are products of the gallery, or alone "
            "in their group; the last epoch is kept, and both modalities weigh the same"
        )
    data = _label(kept, validation, gallery)
    if data.group_count < 2:
        raise ValueError(f"training needs two groups or more, got {data.group_count}")
    if len(gallery) <= config.validation_limit:
        return data
    is_asked = np.isin(data.gallery.labels, data.validation.labels)
    order = np.random.default_rng(seed).permutation(len(gallery))
    # What is asked for first, then others by chance.
    chosen = order[np.argsort(~is_asked[order], kind="stable")]
    searched = np.sort(chosen[: max(config.validation_limit, int(is_asked.sum()))])
    return replace(data, gallery=data.gallery.take(searched))


def text_fields(product: Product) -> dict[str, str | Mapping[str, str]]:
    """Returns the fields of a product that can be embedded, by name."""
    return {name: getattr(product, name) for name in TEXT_FIELDS}


def _label(*parts: MappedProducts) -> TrainingData:
    """Numbers the groups, in the order in which they first appear."""
    train, validation, gallery = (
        TrainingRows(products=part, labels=labels, is_catalogue=part.are_in(parts[-1]))
        for part, labels in zip(parts, number_texts(*map(_name_groups, parts)), strict=True)
    )
    return TrainingData(train=train, validation=validation, gallery=gallery)


def _name_groups(products: MappedProducts) -> pa.ChunkedArray:
    """Returns the groups; a product without one has its own, called by its identifier."""
    groups = products.texts("group")
    is_alone = pc.equal(groups, "")
    if not pc.any(is_alone).as_py():
        return groups
    mark = pa.scalar("\0", pa.large_string())  # no group is called so
    own = pc.binary_join_element_wise(mark, products.texts("product_id"), mark)
    return pc.if_else(is_alone, own, groups)
