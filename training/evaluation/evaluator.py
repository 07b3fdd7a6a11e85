"""The evaluator: searches the gallery by image, by text and by both, and measures what it finds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from twinshelf.training.catalogues.splits import split_halves
from twinshelf.training.evaluation.category_vote import vote_f1
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.evaluation_config import SEED, EvaluationConfig
from twinshelf.training.evaluation.evaluation_results import (
    CategoryBreakdown,
    EvaluationResult,
    HeldOutQuality,
    PatternResult,
)
from twinshelf.training.evaluation.intervals import CONFIDENCE, estimate_means
from twinshelf.training.evaluation.match_worlds import (
    TriedModels,
    cross_fitted_models,
    evaluate_worlds,
)
from twinshelf.training.evaluation.pattern_search import (
    Search,
    candidate_pairs,
    row_f1,
    search_gallery,
)
from twinshelf.training.evaluation.tuning import NEAR_COUNT, Tuning, fit_tuning
from twinshelf.training.retrieval import metrics
from twinshelf.training.retrieval.fusion_weight import pattern_weights
from twinshelf.training.retrieval.match_probability import Floats, MatchModel, OfferLists
from twinshelf.training.retrieval.match_probability_fit import fit_match_model
from twinshelf.training.retrieval.scored_pairs import (
    ScoredPairs,
    average_precision_of_pairs,
    quality_at,
)

logger = logging.getLogger(__name__)

ACCURACY_K = 10
# Enough for the four numbers of a match model.
MOST_SIDE_QUERIES = 4000
CURVE_KS = (1, 2, 3, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """A whole evaluation, with the pairs that plots are drawn of.

    Attributes:
        result: The results.
        pairs: All candidate pairs of each pattern.
    """

    result: EvaluationResult
    pairs: Mapping[str, ScoredPairs]


def evaluate(
    queries: EmbeddedProducts,
    gallery: EmbeddedProducts,
    *,
    fusion_weight: float,
    config: EvaluationConfig,
    tunings: Mapping[str, Tuning] | None = None,
    judged: EmbeddedProducts | None = None,
    notes: Sequence[str] = (),
) -> Evaluation:
    """Measures an encoder by what its embeddings find.

    The gallery is searched with all it has; a pattern uses those queries that have its modalities.

    Args:
        queries: Held-out offers.
        gallery: Products to search.
        fusion_weight: w, the weight of the image in "both", 0 to 1.
        config: How it is done.
        tunings: Those of an earlier evaluation, to be tried on all queries; None tunes thresholds
            on one half of the queries, by group, and tries them on the other.
        judged: Further offers; their groups are identifiers of products of the gallery. What is
            fitted is fitted to them too, unless they are queries; no figure counts them.
        notes: What a reader of the results should know.

    Raises:
        ValueError: If the embeddings do not fit, or the gallery is empty.
    """
    results, pairs = {}, {}
    single_models: list[MatchModel] = []
    judged = judged and judged.rows(~np.isin(judged.product_ids, queries.product_ids))
    known = judged and judged.judged_against(gallery)
    for pattern, weight in pattern_weights(fusion_weight).items():
        chosen = queries.with_pattern(pattern)
        if not chosen.any():
            continue
        logger.info("searching %d products by %s", len(gallery), pattern)
        search = search_gallery(queries.rows(chosen), gallery, weight, device=config.device)
        pairs[pattern] = candidate_pairs(search.lists)
        tuning = None if tunings is None else tunings.get(pattern)
        further = []
        if known and (has_pattern := known[0].with_pattern(pattern)).any():
            offers = known[0].rows(has_pattern)
            further = [search_gallery(offers, known[1], weight, device=config.device)]
        # Of "both", candidates without a photo or a text are judged by these, as when it serves.
        beside = single_models if pattern == "both" else ()
        results[pattern] = evaluate_search(pattern, search, config, tuning, further, beside)
        if (found := results[pattern].tuning) is not None:
            single_models += found.match_models
    result = EvaluationResult(
        query_count=len(queries),
        gallery_count=len(gallery),
        fusion_weight=fusion_weight,
        confidence=CONFIDENCE,
        target_precision=config.target_precision,
        patterns=results,
        notes=tuple(notes),
    )
    return Evaluation(result=result, pairs=pairs)


def evaluate_search(
    pattern: str,
    search: Search,
    config: EvaluationConfig,
    tuning: Tuning | None,
    further: Sequence[Search] = (),
    beside: Sequence[MatchModel] = (),
) -> PatternResult:
    """Computes all that is reported of one search.

    The tuning of an earlier evaluation is tried; without one, `tune_and_try` makes it. Models
    beside that of the search judge candidates that are scored by other weights.
    """
    ranks, queries, gallery = search.found.ranks, search.queries, search.gallery
    values = metric_values(ranks, config.top_k)
    reason, held_out = "", None
    if tuning is None:
        try:
            tuning, held_out = tune_and_try(search, config, further, beside)
        except ValueError as error:
            reason = str(error)
            logger.warning("no calibration for %s: %s", pattern, reason)
    else:
        everything = np.ones(len(queries), dtype=np.bool_)
        models = _by_weight([*tuning.match_models, *beside])
        held_out = try_tuning(search, tuning, everything, [(everything, models)])
    return PatternResult(
        pattern=pattern,
        query_count=len(queries),
        no_relevant_count=ranks.no_relevant_count,
        itself_count=int(search.lists.has_itself.sum()),
        metrics=estimate_means(values, queries.clusters),
        recall_by_k={k: metrics.mean(metrics.recall_at(ranks, k)) for k in CURVE_KS},
        pair_average_precision=average_precision_of_pairs(candidate_pairs(search.lists)),
        category_f1=vote_f1(queries.categories, search.found.candidates, gallery.categories),
        by_category=break_down(values, queries.categories),
        tuning=tuning,
        held_out=held_out,
        untuned_reason=reason,
    )


def metric_values(ranks: metrics.RelevantRanks, top_k: Sequence[int]) -> dict[str, Floats]:
    """Returns every retrieval metric per query, in the order of the tables.

    It is NaN for a query without a relevant item.
    """
    values = {}
    for k in sorted({*top_k, ACCURACY_K}):
        if k in top_k:
            values[f"P@{k}"] = metrics.precision_at(ranks, k)
            values[f"R@{k}"] = metrics.recall_at(ranks, k)
            values[f"F1@{k}"] = metrics.f1_at(ranks, k)
            values[f"NDCG@{k}"] = metrics.ndcg_at(ranks, k)
        values[f"Acc@{k}"] = metrics.accuracy_at(ranks, k)
    values["MAP"] = metrics.average_precision(ranks)
    return values


def tune_and_try(
    search: Search,
    config: EvaluationConfig,
    further: Sequence[Search] = (),
    beside: Sequence[MatchModel] = (),
) -> tuple[Tuning, HeldOutQuality]:
    """Tunes on one half and tries on the other; match probabilities are cross-fitted.

    Further searches are tuned on as well; models beside are tried as they are.

    Raises:
        ValueError: If there are too few queries to fit to.
    """
    fitting_half = split_halves(search.queries.clusters, SEED)
    models = fit_models([search, *further], device=config.device)
    others = [each.lists for each in further]
    half = OfferLists.joined([search.lists.rows(fitting_half), *others])
    tuning = fit_tuning(half, models, config.target_precision)
    folds = cross_fitted_models(
        search.lists, search.queries.clusters, search.image_weight, SEED, others
    )
    tried = [(rows, _by_weight([*fitted, *models[1:], *beside])) for rows, fitted in folds]
    return tuning, try_tuning(search, tuning, ~fitting_half, tried)


def _by_weight(models: Sequence[MatchModel]) -> list[MatchModel]:
    return sorted(models, key=lambda model: model.image_weight)


def fit_models(searches: Sequence[Search], *, device: str) -> list[MatchModel]:
    """Fits the match model of searches of one kind.

    Where both modalities count, further ones are fitted halfway to each alone, with some of the
    queries: a request may weigh otherwise, and what a score means does not change evenly between.

    Raises:
        ValueError: If there are too few queries to fit to.
    """
    weight = searches[0].image_weight
    models = [fit_match_model(OfferLists.joined([each.lists for each in searches]), weight)]
    if not 0 < weight < 1:
        return models
    for beside in (weight / 2, (weight + 1) / 2):
        parts = []
        for each in searches:
            drawn = np.random.default_rng(SEED).permutation(len(each.queries))[:MOST_SIDE_QUERIES]
            queries = each.queries.rows(drawn)
            parts.append(search_gallery(queries, each.gallery, beside, device=device).lists)
        models.append(fit_match_model(OfferLists.joined(parts), beside))
    return models


def try_tuning(
    search: Search,
    tuning: Tuning,
    held_out: npt.NDArray[np.bool_],
    models: Sequence[TriedModels],
) -> HeldOutQuality:
    """Tries thresholds on the chosen queries, and models on those with a relevant product."""
    lists = search.lists.rows(held_out)
    clusters = np.array(search.queries.clusters, dtype=object)
    values = {"row F1": row_f1(lists, tuning.row_threshold, tuning.least_row_count)}
    worlds = {}
    if (has_match := search.lists.relevant_counts > 0).any():
        worlds = evaluate_worlds(
            search.lists.rows(has_match),
            [(chosen[has_match], fitted) for chosen, fitted in models],
            clusters[has_match].tolist(),
            np.array(search.queries.categories, dtype=object)[has_match].tolist(),
        )
    return HeldOutQuality(
        query_count=int(held_out.sum()),
        worlds=worlds,
        matches=quality_at(candidate_pairs(lists, NEAR_COUNT), tuning.match_threshold),
        pairs=quality_at(candidate_pairs(lists), tuning.pair_threshold),
        row_f1=estimate_means(values, clusters[held_out].tolist())["row F1"],
    )


def break_down(
    values: Mapping[str, Floats], categories: Sequence[str]
) -> dict[str, CategoryBreakdown]:
    """Returns the means of each category by itself, sorted by name; "" is left out."""
    return {
        str(category): CategoryBreakdown(
            query_count=len(part),
            no_relevant_count=int(part["MAP"].isna().sum()),
            means={str(name): float(mean) for name, mean in part.mean().items()},
        )
        for category, part in pd.DataFrame(values).groupby(np.array(categories, dtype=object))
        if category
    }
