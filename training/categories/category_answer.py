"""The answer to KazanExpress: the categories of products whose category is not known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twinshelf.training.catalogues.kazanexpress import (
    RESULT,
    read_category_ids,
    read_products,
    write_result,
)
from twinshelf.training.catalogues.reading import separate
from twinshelf.training.categories.category_evaluator import EvaluatedPattern
from twinshelf.training.evaluation.category_vote import UNKNOWN
from twinshelf.training.evaluation.embedded_products import Embedder


def answer_kazanexpress(
    folder: Path,
    output: Path,
    evaluated: Mapping[str, EvaluatedPattern],
    embedder: Embedder,
) -> None:
    """Predicts the products of `test.parquet`, and writes result.parquet.

    Each product is predicted by all that it has, as far as that was evaluated: by both modalities,
    else by text, else by photo. One that has neither gets the most frequent category.

    Args:
        folder: Folder of KazanExpress: `train.parquet` says the numbers of the categories.
        output: Folder that `result.parquet` is written to.
        evaluated: Modality pattern to its methods.
        embedder: Embeds the products, and takes notes.

    Raises:
        FileNotFoundError: If a table is missing.
        ValueError: If a table lacks a column, or a predicted label is no category of it.
    """
    products, bad_rows = separate(read_products(folder, "test"))
    if bad_rows:
        embedder.notes.append(
            f"{len(bad_rows)} rows of test.parquet could not be read and have no answer, "
            f"first: {bad_rows[0]}"
        )
    embedded = embedder.embed("products to predict", products, are_passages=False)
    gallery = next(iter(evaluated.values())).gallery
    numbers = np.full(len(products), UNKNOWN, dtype=np.int64)
    for pattern in ("both", "text", "image"):
        rows = np.flatnonzero(embedded.with_pattern(pattern) & (numbers == UNKNOWN))
        if pattern in evaluated and len(rows):
            numbers[rows] = evaluated[pattern].predict(embedded.rows(rows)).numbers
    numbers[numbers == UNKNOWN] = np.bincount(gallery.numbers[gallery.numbers >= 0]).argmax()
    ids = _category_ids(folder, gallery.labels.names, gallery.config.label)
    product_ids = [int(product.product_id) for product in products]
    write_result(output / RESULT, product_ids, [ids[number] for number in numbers.tolist()])


def _category_ids(folder: Path, names: tuple[str, ...], label: str) -> list[int]:
    """Returns the number of each label: a group is named after it, a category has it beside."""
    known = read_category_ids(folder)
    if label == "group":
        known = {str(number): number for number in known.values()}
    if strange := [name for name in names if name not in known]:
        raise ValueError(f"{strange[0]!r} is no category of {folder / 'train.parquet'}")
    return [known[name] for name in names]
