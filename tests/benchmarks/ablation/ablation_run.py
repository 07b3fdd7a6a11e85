"""Embeds a run's tables by every kind of input, and evaluates both searches of each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.benchmarks.ablation.ablation_config import AblationConfig
from tests.benchmarks.ablation.ablation_results import Ablation, Cell
from tests.benchmarks.ablation.input_variants import (
    VARIANTS,
    Variant,
    VariedProducts,
    embed_variants,
)
from tests.benchmarks.ablation.zero_shot import load_zero_shot
from twinshelf.training.catalogues.product import Product
from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.data.training_data import load_training_data
from twinshelf.training.evaluation.embedded_products import Embedder
from twinshelf.training.retrieval import metrics
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import retrieve
from twinshelf.training.retrieval.fusion_weight import fit_fusion_weight
from twinshelf.training.retrieval.indexed_search import search_index
from twinshelf.training.retrieval.metrics import (
    RelevantPairs,
    RelevantRanks,
    pairs_by_group,
    rows_of_same_product,
)
from twinshelf.training.runs.tracking import Outcome, save_outcome

LEAST_CANDIDATES = 100
EXPANSION_SEARCH = 64  # as the matching service sets its index
# A relevant item that was no candidate: too far down to count, and still an item.
NOT_FOUND = 2**40
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedTables:
    """Products by what they are for.

    Attributes:
        validation: Offers kept from training, which the fusion weights are fitted on.
        fusion_weight: w, the weight of the image where there are none, 0 to 1.
        queries: Held-out offers.
        gallery: Products that are searched.
    """

    validation: VariedProducts
    fusion_weight: float
    queries: VariedProducts
    gallery: VariedProducts


def ablate(config: AblationConfig) -> Ablation:
    """Compares inputs, encoders and searches on a run's queries, and saves the results as JSON.

    They go to the loggers of the run's training as well: as "ablation", those of another file as
    "ablations/STEM".

    Raises:
        FileNotFoundError: If a file of the run or a table is missing.
        ValueError: If a table cannot be read or an encoder cannot be loaded.
        OSError: If MLflow does not take the results, which are then saved.
    """
    embedder = Embedder.of_run(config.run, config.device)
    queries, gallery = (
        embedder.read(name, (path,) if path else (), {})
        for name, path in (("queries", config.queries), ("gallery", config.gallery))
    )
    validation = _read_validation(embedder.encoder)
    zero_shot = load_zero_shot(
        embedder.encoder, image_weights=config.image_weights, text_encoder=config.text_encoder
    )
    cells: dict[str, dict[str, dict[str, Cell]]] = {variant.name: {} for variant in VARIANTS}
    encoders: dict[str, tuple[TrainedEncoder, bool, bool]] = {
        "zero-shot": (zero_shot.encoder, zero_shot.has_image, zero_shot.has_text),
        "fine-tuned": (embedder.encoder, True, True),
    }
    for name, (encoder, has_image, has_text) in encoders.items():
        if not (has_image or has_text):
            continue
        logger.info("embedding %d queries and %d products, %s", len(queries), len(gallery), name)
        tables = _embed(encoder, validation, queries, gallery, embedder.device)
        for variant in VARIANTS:
            can = (has_image or not variant.has_image) and (has_text or not variant.text_fields)
            found = evaluate_variant(variant, tables, embedder.device) if can else None
            if found is not None:
                cells[variant.name][name] = found
    result = Ablation(
        run=config.run.name,
        query_count=len(queries),
        gallery_count=len(gallery),
        cells=cells,
        notes=(*embedder.notes, *zero_shot.notes),
    )
    outcome = Outcome(name=config.name, results=config.results)
    save_outcome(embedder.tracked_run, outcome, result)
    return result


def evaluate_variant(
    variant: Variant, tables: EmbeddedTables, device: str = "cpu"
) -> dict[str, Cell] | None:
    """Evaluates both searches by a variant; None when no query has what it reads.

    Only queries that have all of it take part. The fusion weight is fitted on the validation
    offers, for each variant by itself.
    """
    queries, gallery = tables.queries.embeddings(variant), tables.gallery.embeddings(variant)
    needed = np.array([variant.has_image, bool(variant.text_fields)])
    rows = np.flatnonzero(queries.presence[:, needed].all(axis=1))
    if not len(rows) or not gallery.presence.any():
        return None
    fusion_weight = _fit_weight(variant, tables, device) if needed.all() else None
    weight = variant.image_weight(fusion_weight if fusion_weight is not None else float(needed[0]))
    chosen = rows.tolist()
    itself = rows_of_same_product(
        [tables.queries.product_ids[row] for row in chosen], tables.gallery.product_ids
    )
    groups = [tables.queries.groups[row] for row in chosen]
    relevant = pairs_by_group(groups, tables.gallery.groups, excluded=itself)
    asked = queries.rows(rows)
    exact = retrieve(
        asked,
        gallery,
        image_weight=weight,
        relevant=relevant,
        k=1,
        excluded=itself,
        device=device,
    ).ranks
    indexed = indexed_ranks(asked, gallery, image_weight=weight, relevant=relevant, excluded=itself)
    return {
        "exact": _cell(exact, fusion_weight),
        "usearch": _cell(indexed, fusion_weight),
    }


def indexed_ranks(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    *,
    image_weight: float,
    relevant: RelevantPairs,
    excluded: npt.NDArray[np.int64],
) -> RelevantRanks:
    """Ranks the relevant items among the candidates of a usearch index, rescored exactly.

    The index gives four times as many candidates as a query has relevant items, and at least
    `LEAST_CANDIDATES`. Items that are no candidates come after everything, so that they add
    nothing to a metric.

    Args:
        queries: Embeddings of the queries (Q).
        gallery: Embeddings of the gallery (G).
        image_weight: Weight of the image in the score, 0 to 1.
        relevant: Relevant pairs.
        excluded: Gallery row that is the query itself, int64 (Q,); -1 for none.
    """
    most = int(np.bincount(relevant.queries, minlength=1).max())
    items = search_index(
        queries,
        gallery,
        image_weight=image_weight,
        k=max(LEAST_CANDIDATES, 4 * most),
        excluded=excluded,
        expansion=EXPANSION_SEARCH,
    ).items
    ranks = NOT_FOUND + np.arange(len(relevant.items))  # no two items share a rank
    for pair, (query, item) in enumerate(zip(relevant.queries, relevant.items, strict=True)):
        places = np.flatnonzero(items[query] == item)
        if len(places):
            ranks[pair] = places[0] + 1
    return RelevantRanks.of_pairs(len(queries), relevant.queries, ranks)


def _fit_weight(variant: Variant, tables: EmbeddedTables, device: str) -> float:
    fit = fit_fusion_weight(
        tables.validation.embeddings(variant),
        tables.gallery.embeddings(variant),
        tables.validation.groups,
        tables.gallery.groups,
        device=device,
    )
    return fit.weight if fit.query_count else tables.fusion_weight


def _read_validation(trained: TrainedEncoder) -> Sequence[Product]:
    """Returns the offers kept from training; none where the tables of the run are gone."""
    try:
        return load_training_data(trained.config.data, trained.config.seed).validation.products
    except FileNotFoundError as error:
        logger.warning("no validation offers, the fusion weight is the run's: %s", error)
        return ()


def _embed(
    encoder: TrainedEncoder,
    validation: Sequence[Product],
    queries: Sequence[Product],
    gallery: Sequence[Product],
    device: str,
) -> EmbeddedTables:
    offers = [
        embed_variants(encoder, rows, are_passages=False, device=device)
        for rows in (validation, queries)
    ]
    return EmbeddedTables(
        validation=offers[0],
        fusion_weight=encoder.model.fusion.plain_weight(),
        queries=offers[1],
        gallery=embed_variants(encoder, gallery, are_passages=True, device=device),
    )


def _cell(ranks: RelevantRanks, fusion_weight: float | None) -> Cell:
    return Cell(
        query_count=ranks.query_count,
        no_relevant_count=ranks.no_relevant_count,
        fusion_weight=fusion_weight,
        metrics={
            "recall@1": metrics.mean(metrics.accuracy_at(ranks, 1)),
            "Acc@10": metrics.mean(metrics.accuracy_at(ranks, 10)),
            "MAP": metrics.mean(metrics.average_precision(ranks)),
        },
    )
