"""Predicts categories with the encoder of a run, and saves what it came to.

For KazanExpress the answer is saved beside it: the categories of products of unknown category.
"""

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
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import separate
from twinshelf.training.categories.category_config import CategoryConfig, CategoryFiles
from twinshelf.training.categories.category_evaluator import (
    EvaluatedPattern,
    evaluate_pattern,
    split_queries,
)
from twinshelf.training.categories.category_labels import Labels, labels_of
from twinshelf.training.categories.category_results import RESULTS, CategoriesResult, EarlierChoice
from twinshelf.training.categories.mlp import load_head, save_head
from twinshelf.training.evaluation.category_vote import UNKNOWN
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts, Embedder
from twinshelf.training.runs.tracking import Outcome, save_outcome


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


def predict_categories(files: CategoryFiles, config: CategoryConfig) -> CategoriesResult:
    """Tunes and evaluates both methods, and saves categories.json with the networks.

    Patterns that no query has are left out. The results go to the loggers of the run's training as
    well.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a table cannot be read, or there are too few labels or queries.
        OSError: If MLflow does not take the results, which are then saved.
    """
    embedder = Embedder.of_run(files.run, config.device)
    earlier = EarlierChoice.read(files.chosen, config.label) if files.chosen else None
    gallery = _embed("gallery", files.gallery, files, config, embedder)
    labels = (
        Labels(names=earlier.labels)
        if earlier is not None
        else Labels.of(labels_of(gallery, config.label))
    )
    tuning, reported = _read_queries(files, config, embedder)
    evaluated: dict[str, EvaluatedPattern] = {}
    for pattern in config.patterns:
        if not reported.with_pattern(pattern).any():
            embedder.notes.append(f"no query has what {pattern!r} needs")
            continue
        evaluated[pattern] = evaluate_pattern(
            pattern,
            tuning,
            reported,
            gallery,
            labels=labels,
            config=config,
            fusion_weight=embedder.fusion_weight,
            chosen=earlier.choices.get(pattern) if earlier else None,
            head=load_head(_head_path(files.chosen, pattern), labels) if files.chosen else None,
        )
    if not evaluated:
        raise ValueError(f"no query has what any of {config.patterns} needs")
    folder = files.results_folder(config.label)
    if files.kazanexpress is not None:
        answer_kazanexpress(files.kazanexpress, folder, evaluated, embedder)
    result = CategoriesResult(
        label=config.label,
        labels=labels.names,
        gallery_count=len(gallery),
        target_accuracy=config.target_accuracy,
        patterns={pattern: found.results for pattern, found in evaluated.items()},
        notes=tuple(embedder.notes),
    )
    _save(result, evaluated, files, embedder)
    return result


def _save(
    result: CategoriesResult,
    evaluated: Mapping[str, EvaluatedPattern],
    files: CategoryFiles,
    embedder: Embedder,
) -> None:
    folder = files.results_folder(result.label)
    for pattern, found in evaluated.items():
        save_head(_head_path(folder, pattern), found.head)
    outcome = Outcome(name=files.name(result.label), results=folder / RESULTS)
    save_outcome(embedder.tracked_run, outcome, result, step="categories")


def _read_queries(
    files: CategoryFiles, config: CategoryConfig, embedder: Embedder
) -> tuple[EmbeddedProducts | None, EmbeddedProducts]:
    """Returns the queries that tune, None where nothing is tuned, and those that are reported."""
    given = (files.queries,) if files.queries else ()
    queries = _embed("queries", given, files, config, embedder)
    if files.chosen is not None:
        embedder.notes.append(f"K, margins and networks are those of {files.chosen}")
        return None, queries
    if files.validation is not None:
        return _embed("queries", (files.validation,), files, config, embedder), queries
    tuning_half = split_queries(queries, config.label, config.seed)
    if not tuning_half.any():
        raise ValueError(f"{len(queries)} queries of known {config.label} are too few to split")
    embedder.notes.append(
        f"tuned on {int(tuning_half.sum())} of {len(queries)} queries, drawn with seed "
        f"{config.seed}; the others are reported"
    )
    return queries.rows(tuning_half), queries.rows(~tuning_half)


def _embed(
    name: str,
    paths: tuple[Path, ...],
    files: CategoryFiles,
    config: CategoryConfig,
    embedder: Embedder,
) -> EmbeddedProducts:
    """Embeds the products of known label in some tables, or in the run's own."""
    products = embedder.read(name, paths, files.columns)
    known: list[Product] = [product for product in products if getattr(product, config.label)]
    place = ", ".join(map(str, paths)) or f"the run's {name}"
    if not known:
        raise ValueError(f"no row of {place} has a {config.label}")
    if unknown := len(products) - len(known):
        embedder.notes.append(f"{unknown} rows of {place} have no {config.label}: left out")
    return embedder.embed(name, known, are_passages=name == "gallery")


def _head_path(folder: Path, pattern: str) -> Path:
    return folder / f"mlp_{pattern}.safetensors"
