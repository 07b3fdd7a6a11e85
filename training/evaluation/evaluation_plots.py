"""The results of an evaluation as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twinshelf.training.evaluation.evaluation_results import EvaluationResult
from twinshelf.training.retrieval.scored_pairs import ScoredPairs, precision_recall

COLOURS = {"image": "tab:blue", "text": "tab:orange", "both": "tab:green"}
HISTOGRAM_BINS = 50


def save_plots(
    result: EvaluationResult, pairs: Mapping[str, ScoredPairs], folder: Path
) -> list[Path]:
    """Draws the precision-recall curve, score histograms, reliability and recall by K.

    Args:
        result: The results.
        pairs: All candidate pairs of each pattern.
        folder: Where the PNG files go; made when missing.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "precision_recall.png": _draw_precision_recall(pairs),
        "scores.png": _draw_scores(result, pairs),
        "reliability.png": _draw_reliability(result),
        "recall_by_k.png": _draw_recall_by_k(result),
    }
    for name, figure in figures.items():  # no pyplot: it keeps figures and picks a window system
        for axes in figure.axes:
            if axes.get_legend_handles_labels()[0]:
                axes.legend()
        figure.savefig(folder / name)
    return [folder / name for name in figures]


def _draw_precision_recall(pairs: Mapping[str, ScoredPairs]) -> Figure:
    figure, axes = _figure("Pairs: precision by recall", "recall", "precision")
    for pattern, scored in pairs.items():
        if scored.is_match.any():
            precision, recall, _ = precision_recall(scored)
            axes.plot(recall, precision, color=COLOURS[pattern], label=pattern)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    return figure


def _draw_scores(result: EvaluationResult, pairs: Mapping[str, ScoredPairs]) -> Figure:
    figure = Figure(figsize=(5 * max(1, len(pairs)), 4), layout="constrained")
    figure.suptitle("Scores of candidates")
    for number, (pattern, scored) in enumerate(pairs.items(), start=1):
        axes = figure.add_subplot(1, len(pairs), number)
        low, high = (scored.scores.min(), scored.scores.max()) if len(scored.scores) else (0, 1)
        bins = np.linspace(low, max(high, low + 1e-3), HISTOGRAM_BINS + 1).tolist()
        for label, wanted, colour in (
            ("matches", True, "tab:green"),
            ("non-matches", False, "tab:red"),
        ):
            chosen = scored.scores[scored.is_match == wanted]
            axes.hist(chosen, bins=bins, density=len(chosen) > 0, alpha=0.5, color=colour,
                      label=f"{label} ({len(chosen)})")  # fmt: skip
        tuning = result.patterns[pattern].tuning
        if tuning is not None:
            axes.axvline(tuning.match_threshold, color="black", linestyle="--", label="threshold")
        axes.set(title=pattern, xlabel="score", ylabel="density")
    return figure


def _draw_reliability(result: EvaluationResult) -> Figure:
    figure, axes = _figure(
        "Reliability of the first match", "probability given", "share that is right"
    )
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    for pattern, found in result.patterns.items():
        for world, quality in (found.held_out.worlds if found.held_out else {}).items():
            axes.plot(
                [part.mean_probability for part in quality.first.bins],
                [part.true_share for part in quality.first.bins],
                marker="o",
                linestyle="-" if world == "open" else "--",
                color=COLOURS[pattern],
                label=f"{pattern}, {world} world (error {quality.first.error.value:.3f})",
            )
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return figure


def _draw_recall_by_k(result: EvaluationResult) -> Figure:
    figure, axes = _figure("Recall by K", "K", "recall@K")
    for pattern, found in result.patterns.items():
        ks, recall = list(found.recall_by_k), list(found.recall_by_k.values())
        axes.plot(ks, recall, marker="o", color=COLOURS[pattern], label=pattern)
        axes.set_xscale("log")
        axes.set_xticks(ks, labels=[str(k) for k in ks])
    axes.set_ylim(0, 1.02)
    return figure


def _figure(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    axes.grid(alpha=0.3)
    return figure, axes
