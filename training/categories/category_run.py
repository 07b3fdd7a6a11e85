"""Predicts categories with the encoder of a run, and saves what it came to.

For KazanExpress the answer is saved beside it: the categories of products of unknown category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from twinshelf.training.catalogues.kazanexpress import (
    RESULT,
    read_category_ids,
    read_products,
    write_result,
)
from twinshelf.training.catalogues.reading import separate
from twinshelf.training.categories.category_config import (
    FOLDER,
    SEED,
    CategoryOptions,
)
from twinshelf.training.categories.category_evaluator import (
    LabelledGallery,
    TunedMethods,
    split_queries,
)
from twinshelf.training.categories.category_labels import Labels, labels_of
from twinshelf.training.categories.category_results import (
    RESULTS,
    CategoriesResult,
    MethodResult,
    read_choices,
)
from twinshelf.training.categories.mlp import load_head, save_head
from twinshelf.training.evaluation.category_vote import UNKNOWN
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts, Embedder
from twinshelf.training.runs.tracking import Outcome, save_outcome


def predict_categories(options: CategoryOptions) -> CategoriesResult:
    """Tunes and evaluates both methods, and saves categories.json with the networks.

    Patterns that no query or no product has are left out. The results go to the loggers of the
    run's training as well.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a table cannot be read, or there are too few labels or queries.
        OSError: If MLflow does not take the results, which are then saved.
    """
    config = options.config
    embedder = Embedder.of_run(options.run, config.device)
    known = _read_choices(options.chosen, config.label) if options.chosen else None
    gallery = _embed("gallery", options.gallery, options, embedder)
    labels, earlier = known or (Labels.of(labels_of(gallery, config.label)), {})
    tuning, reported = _read_queries(options, embedder)
    results: dict[str, Mapping[str, MethodResult]] = {}
    used: dict[str, tuple[LabelledGallery, TunedMethods]] = {}
    for pattern in config.patterns:
        rows = LabelledGallery.of(
            gallery, pattern, labels=labels, config=config, fusion_weight=embedder.fusion_weight
        )
        asked = (reported,) if options.chosen else (reported, tuning)
        if not (len(rows.products) and all(each.with_pattern(pattern).any() for each in asked)):
            embedder.notes.append(f"too few queries or products have what {pattern!r} needs")
            continue
        tuned = earlier.get(pattern) if options.chosen else rows.tune(tuning, reported)
        if tuned is None:
            raise ValueError(f"nothing was chosen for {pattern} before: tune it first")
        results[pattern], used[pattern] = rows.evaluate(reported, tuned), (rows, tuned)
    if not results:
        raise ValueError(f"no query, or no product, has what any of {config.patterns} needs")
    folder = options.results_folder
    if options.kazanexpress is not None:
        answer_kazanexpress(options.kazanexpress, folder, results, used, embedder)
    for name, (_, found) in used.items():
        if found.head is not None:
            save_head(_head_path(folder, name), found.head)
    result = CategoriesResult(
        label=config.label,
        labels=labels.names,
        gallery_count=len(gallery),
        target_accuracy=config.target_accuracy,
        patterns=results,
        notes=tuple(embedder.notes),
    )
    outcome = Outcome(name=f"{FOLDER}/{folder.resolve().name}", results=folder / RESULTS)
    save_outcome(embedder.tracked_run, outcome, result)
    return result


def answer_kazanexpress(
    folder: Path,
    output: Path,
    results: Mapping[str, Mapping[str, MethodResult]],
    used: Mapping[str, tuple[LabelledGallery, TunedMethods]],
    embedder: Embedder,
) -> None:
    """Predicts the products of `test.parquet`, and writes result.parquet.

    Each product is predicted by all that it has, as far as that was evaluated: by both modalities,
    else by text, else by photo. One that has neither gets the most frequent category.

    Args:
        folder: Folder of KazanExpress: `train.parquet` says the numbers of the categories.
        output: Folder that `result.parquet` is written to.
        results: Modality pattern to its methods; the one of the higher weighted F1 predicts.
        used: What each pattern was predicted from, and by what.
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
    gallery, _ = next(iter(used.values()))
    numbers = np.full(len(products), UNKNOWN, dtype=np.int64)
    for pattern in ("both", "text", "image"):
        rows = np.flatnonzero(embedded.with_pattern(pattern) & (numbers == UNKNOWN))
        if pattern in used and len(rows):
            methods, (known, tuned) = results[pattern], used[pattern]
            best = max(methods, key=lambda name: methods[name].reported.weighted_f1)
            numbers[rows] = known.predict(best, embedded.rows(rows), tuned).numbers
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


def _read_queries(
    options: CategoryOptions, embedder: Embedder
) -> tuple[EmbeddedProducts, EmbeddedProducts]:
    """Returns the queries that tune, where something is tuned, and those that are reported."""
    given = (options.queries,) if options.queries else ()
    label = options.config.label
    queries = _embed("queries", given, options, embedder)
    if options.chosen is not None:
        embedder.notes.append(f"K, thresholds and networks are those of {options.chosen}")
        return queries, queries
    if options.validation is not None:
        return _embed("queries", (options.validation,), options, embedder), queries
    tuning_half = split_queries(queries, label, SEED)
    if not tuning_half.any():
        raise ValueError(f"{len(queries)} queries of known {label} are too few to split")
    embedder.notes.append(
        f"tuned on {int(tuning_half.sum())} of {len(queries)} queries, drawn with seed "
        f"{SEED}; the others are reported"
    )
    return queries.rows(tuning_half), queries.rows(~tuning_half)


def _embed(
    name: str, paths: Sequence[Path], options: CategoryOptions, embedder: Embedder
) -> EmbeddedProducts:
    """Embeds the products of known label in some tables, or in the run's own."""
    label = options.config.label
    products = embedder.read(name, paths, options.columns)
    known = [product for product in products if getattr(product, label)]
    place = ", ".join(map(str, paths)) or f"the run's {name}"
    if not known:
        raise ValueError(f"no row of {place} has a {label}")
    if unknown := len(products) - len(known):
        embedder.notes.append(f"{unknown} rows of {place} have no {label}: left out")
    asked = known
    if name == "queries" and label in embedder.encoder.settings.text_fields:
        asked = [replace(product, category="") for product in known]
        embedder.notes.append(f"what {place} is asked for, its category, is not embedded")
    found = embedder.embed(name, asked, are_passages=name == "gallery")
    return replace(found, categories=tuple(product.category for product in known))


def _read_choices(folder: Path, label: str) -> tuple[Labels, dict[str, TunedMethods]]:
    """Reads the labels of an earlier result, and what was chosen for each modality pattern.

    Raises:
        FileNotFoundError: If there is no such result, or a network is missing.
        ValueError: If it is no result of ours, or of another label.
    """
    names, choices = read_choices(folder, label)
    return Labels(names=names), {
        pattern: TunedMethods(
            choices=methods,
            head=load_head(_head_path(folder, pattern), len(names)) if "mlp" in methods else None,
        )
        for pattern, methods in choices.items()
    }


def _head_path(folder: Path, pattern: str) -> Path:
    return folder / f"mlp_{pattern}.safetensors"
