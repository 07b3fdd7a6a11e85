"""Predicts categories with the encoder of a run, and saves what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from training.categories.evaluator import judge_pattern, split_queries, with_label
from training.categories.labels import Labels, labels_of
from training.categories.mlp import LabelHead, load_head, save_head
from training.categories.results import CategoriesResult, EarlierChoice, MethodResult
from training.categories.settings import CategorySettings
from training.checkpoint import load_encoder
from training.evaluation.embedded import EmbeddedProducts
from training.evaluation.search import rows_with_pattern
from training.runs.environment import ENVIRONMENT, record_environment
from training.runs.products import Embedder, read_products
from training.runs.tracking import Outcome, TrackedRun, track_outcome
from training.whole_file import write_whole

RESULTS = "categories.json"
FOLDER = "categories"


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryFiles:
    """Where category prediction reads and writes.

    Attributes:
        run: Folder of the run.
        gallery: Tables of products whose labels are known; empty takes the run's own gallery.
        queries: Table of held-out offers; None takes the run's own.
        validation: Table of offers to tune on; None tunes on one half of the queries and reports
            the other.
        chosen: Folder of an earlier result, whose K, margins and networks are judged; None tunes.
        columns: Our column names to those of all tables, where they differ.
        output: Folder of the results; None takes `RUN/categories/LABEL`.
    """

    run: Path
    gallery: tuple[Path, ...] = ()
    queries: Path | None = None
    validation: Path | None = None
    chosen: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    output: Path | None = None

    def results_folder(self, label: str) -> Path:
        """Returns the folder of the results."""
        return self.output or self.run / FOLDER / label

    def name(self, label: str) -> str:
        """Returns the name under which the results are tracked."""
        return f"{FOLDER}/{self.results_folder(label).resolve().name}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Queries:
    """Queries of known label, by what they are for; `tuning` is None when nothing is tuned."""

    tuning: EmbeddedProducts | None
    reported: EmbeddedProducts


def predict_categories(files: CategoryFiles, settings: CategorySettings) -> CategoriesResult:
    """Tunes and judges both methods, and saves categories.json with the networks.

    Patterns that no query has are left out. The results go to the loggers of the run's training as
    well.

    Args:
        files: Where it reads and writes.
        settings: How it is done; the fusion weight is taken from the run.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a table cannot be read, or there are too few labels or queries.
        OSError: If MLflow does not take the results, which are then saved.
    """
    embedder = Embedder(encoder=load_encoder(files.run), device=settings.device)
    settings = replace(settings, fusion_weight=embedder.fusion_weight)
    earlier = _read_choice(files.chosen, settings.label) if files.chosen else None
    gallery = _read_gallery(files, settings, embedder)
    labels = (
        Labels(names=earlier.labels)
        if earlier is not None
        else Labels.of(labels_of(gallery, settings.label))
    )
    queries = _read_queries(files, settings, embedder, tunes=earlier is None)
    results: dict[str, Mapping[str, MethodResult]] = {}
    heads: dict[str, LabelHead] = {}
    for pattern in settings.patterns:
        if not rows_with_pattern(queries.reported, pattern).any():
            embedder.notes.append(f"no query has what {pattern!r} needs")
            continue
        judged = judge_pattern(
            pattern,
            queries.tuning,
            queries.reported,
            gallery,
            labels=labels,
            settings=settings,
            chosen=earlier.choices.get(pattern) if earlier else None,
            head=load_head(_head_path(files.chosen, pattern), labels) if files.chosen else None,
        )
        results[pattern], heads[pattern] = judged.results, judged.head
    if not results:
        raise ValueError(f"no query has what any of {settings.patterns} needs")
    result = CategoriesResult(
        label=settings.label,
        labels=labels.names,
        gallery_count=len(gallery),
        target_accuracy=settings.target_accuracy,
        patterns=results,
        notes=tuple(embedder.notes),
    )
    folder = files.results_folder(settings.label)
    _save(result, heads, folder)
    outcome = Outcome(
        name=files.name(settings.label), results=folder / RESULTS, files=[folder / ENVIRONMENT]
    )
    track_outcome(TrackedRun.of(files.run, embedder.encoder.config.loop), outcome)
    return result


def _read_gallery(
    files: CategoryFiles, settings: CategorySettings, embedder: Embedder
) -> EmbeddedProducts:
    own = Path(embedder.encoder.config.data.folder) / "gallery.parquet"
    paths = files.gallery or (own,)
    tables = read_products(paths, files.columns if files.gallery else None)
    embedder.notes.extend(tables.notes)
    gallery = [product for product in tables.products if getattr(product, settings.label)]
    if not gallery:
        names = ", ".join(str(path) for path in paths)
        raise ValueError(f"no product of {names} has a {settings.label}")
    return embedder.embed("gallery products", gallery, are_passages=True)


def _read_queries(
    files: CategoryFiles, settings: CategorySettings, embedder: Embedder, *, tunes: bool
) -> _Queries:
    own = Path(embedder.encoder.config.data.folder) / "queries.parquet"
    queries = _embed_queries(files.queries or own, files, settings, embedder)
    if not tunes:
        embedder.notes.append(f"K, margins and networks are those of {files.chosen}")
        return _Queries(tuning=None, reported=queries)
    if files.validation is not None:
        tuning = _embed_queries(files.validation, files, settings, embedder)
        return _Queries(tuning=tuning, reported=queries)
    tuning_half = split_queries(queries, settings.label, settings.seed)
    if not tuning_half.any():
        raise ValueError(f"{len(queries)} queries of known {settings.label} are too few to split")
    embedder.notes.append(
        f"tuned on {int(tuning_half.sum())} of {len(queries)} queries, drawn with seed "
        f"{settings.seed}; the others are reported"
    )
    return _Queries(tuning=queries.rows(tuning_half), reported=queries.rows(~tuning_half))


def _embed_queries(
    path: Path, files: CategoryFiles, settings: CategorySettings, embedder: Embedder
) -> EmbeddedProducts:
    is_given = path in (files.queries, files.validation)
    tables = read_products([path], files.columns if is_given else None)
    embedder.notes.extend(tables.notes)
    known = [product for product in tables.products if getattr(product, settings.label)]
    if not known:
        raise ValueError(f"no offer of {path} has a {settings.label}")
    if unknown := len(tables.products) - len(known):
        embedder.notes.append(f"{unknown} rows of {path.name} have no {settings.label}: left out")
    return with_label(embedder.embed("queries", known, are_passages=False), settings.label)


def _read_choice(folder: Path, label: str) -> EarlierChoice:
    path = folder / RESULTS
    if not path.is_file():
        raise FileNotFoundError(f"no {RESULTS} in {folder}: run training.categories first")
    earlier = EarlierChoice.from_json(path.read_text(encoding="utf-8"))
    if earlier.label != label:
        raise ValueError(f"{path} predicts the {earlier.label}, not the {label}")
    return earlier


def _head_path(folder: Path, pattern: str) -> Path:
    return folder / f"mlp_{pattern}.safetensors"


def _save(result: CategoriesResult, heads: Mapping[str, LabelHead], folder: Path) -> None:
    record_environment(folder, "categories")
    for pattern, head in heads.items():
        save_head(_head_path(folder, pattern), head)
    write_whole(folder / RESULTS, result.to_json())
