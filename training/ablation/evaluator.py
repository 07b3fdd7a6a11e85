"""Embeds a run's tables by every kind of input, and judges both searches of each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training import metrics
from training.ablation.results import Ablation, Cell
from training.ablation.search import exact_ranks, indexed_ranks
from training.ablation.variants import VARIANTS, Variant, VariedProducts, embed_variants
from training.ablation.zero_shot import load_zero_shot
from training.checkpoint import TrainedEncoder, load_encoder
from training.fusion_weight import fit_fusion_weight
from training.metrics import RelevantRanks
from training.product import Product
from training.relevance import pairs_by_group, rows_of_same_product
from training.runs.products import read_products
from training.training_data import load_training_data

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationSource:
    """What is compared.

    Attributes:
        run: Folder of the run.
        queries: Table of held-out offers; None takes the run's own.
        gallery: Table of products to search; None takes the run's own.
        image_weights: Starting weights of the image encoder; None takes what the run names.
        text_encoder: Pretrained text encoder; None takes what the run names.
        device: "cpu" or "cuda".
    """

    run: Path
    queries: Path | None = None
    gallery: Path | None = None
    image_weights: Path | None = None
    text_encoder: str | None = None
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedTables:
    """Products by what they are for.

    Attributes:
        validation: Offers kept from training, which the fusion weights are fitted on.
        fusion_weight: Share of the image where there are none, 0 to 1.
        queries: Held-out offers.
        gallery: Products that are searched.
    """

    validation: VariedProducts
    fusion_weight: float
    queries: VariedProducts
    gallery: VariedProducts


def compare(source: AblationSource) -> Ablation:
    """Compares inputs, encoders and searches on a run's queries.

    Raises:
        FileNotFoundError: If a file of the run or a table is missing.
        ValueError: If a table cannot be read or an encoder cannot be loaded.
    """
    trained = load_encoder(source.run)
    folder = Path(trained.config.data.folder)
    queries = read_products([source.queries or folder / "queries.parquet"]).products
    gallery = read_products([source.gallery or folder / "gallery.parquet"]).products
    validation = _read_validation(trained)
    zero_shot = load_zero_shot(
        trained, image_weights=source.image_weights, text_encoder=source.text_encoder
    )
    cells: dict[str, dict[str, dict[str, Cell]]] = {variant.name: {} for variant in VARIANTS}
    encoders: dict[str, tuple[TrainedEncoder, bool, bool]] = {
        "zero-shot": (zero_shot.encoder, zero_shot.has_image, zero_shot.has_text),
        "fine-tuned": (trained, True, True),
    }
    for name, (encoder, has_image, has_text) in encoders.items():
        if not (has_image or has_text):
            continue
        logger.info("embedding %d queries and %d products, %s", len(queries), len(gallery), name)
        tables = _embed(encoder, validation, queries, gallery, source.device)
        for variant in VARIANTS:
            can = (has_image or not variant.has_image) and (has_text or not variant.text_fields)
            found = judge_variant(variant, tables, source.device) if can else None
            if found is not None:
                cells[variant.name][name] = found
    return Ablation(
        run=source.run.name,
        query_count=len(queries),
        gallery_count=len(gallery),
        cells=cells,
        notes=zero_shot.notes,
    )


def judge_variant(
    variant: Variant, tables: EmbeddedTables, device: str = "cpu"
) -> dict[str, Cell] | None:
    """Judges both searches by a variant; None when no query has what it reads.

    Only queries that have all of it take part. The fusion weight is fitted on the validation
    offers, for each variant by itself.
    """
    queries, gallery = tables.queries.embeddings(variant), tables.gallery.embeddings(variant)
    needed = np.array([variant.has_image, bool(variant.text_fields)])
    rows = np.flatnonzero(queries.presence[:, needed].all(axis=1))
    if not len(rows) or not gallery.presence.any():
        return None
    fusion_weight = _fit_weight(variant, tables, device) if needed.all() else None
    weights = variant.weights(fusion_weight if fusion_weight is not None else float(needed[0]))
    chosen = rows.tolist()
    itself = rows_of_same_product(
        [tables.queries.product_ids[row] for row in chosen], tables.gallery.product_ids
    )
    groups = [tables.queries.groups[row] for row in chosen]
    relevant = pairs_by_group(groups, tables.gallery.groups, excluded=itself)
    asked = queries.rows(rows)
    exact = exact_ranks(
        asked, gallery, weights=weights, relevant=relevant, excluded=itself, device=device
    )
    indexed = indexed_ranks(asked, gallery, weights=weights, relevant=relevant, excluded=itself)
    return {
        "exact": _cell(exact, fusion_weight),
        "usearch": _cell(indexed, fusion_weight),
    }


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
        return load_training_data(trained.config.data, trained.config.seed).validation
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
        fusion_weight=encoder.model.fusion.image_share(),
        queries=offers[1],
        gallery=embed_variants(encoder, gallery, are_passages=True, device=device),
    )


def _cell(ranks: RelevantRanks, fusion_weight: float | None) -> Cell:
    return Cell(
        query_count=ranks.query_count,
        lone_count=ranks.lone_count,
        fusion_weight=fusion_weight,
        metrics={
            "recall@1": metrics.mean(metrics.accuracy_at(ranks, 1)),
            "Acc@10": metrics.mean(metrics.accuracy_at(ranks, 10)),
            "MAP": metrics.mean(metrics.average_precision(ranks)),
        },
    )
