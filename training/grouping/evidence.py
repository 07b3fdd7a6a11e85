"""Evidence: for each modality pattern, the pairs that may be the same, and from which score on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.calibration import PATTERNS, Calibration
from training.embeddings import ModalityWeights
from training.evaluation.embedded import EmbeddedProducts
from training.evaluation.search import rows_with_pattern
from training.grouping.components import Groups, form_groups
from training.grouping.edges import Edges, above, neighbour_edges, unite
from training.grouping.neighbours import nearest_products
from training.grouping.settings import GroupingSettings

# No score is above 1: this threshold leaves a pattern out.
LEFT_OUT = math.inf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Possible edges of a catalogue.

    Attributes:
        product_count: Products in the catalogue.
        edges: Modality pattern to all its neighbour pairs, whatever their score.
    """

    product_count: int
    edges: Mapping[str, Edges]

    def united(self, thresholds: Mapping[str, float]) -> Edges:
        """Returns the pairs that at least one pattern accepts.

        Args:
            thresholds: Modality pattern to the lowest score it accepts; a pattern that is absent
                accepts nothing.
        """
        accepted = [
            above(edges, thresholds.get(pattern, LEFT_OUT)) for pattern, edges in self.edges.items()
        ]
        return unite(accepted, self.product_count)


def gather_evidence(
    products: EmbeddedProducts,
    *,
    calibration: Calibration,
    fusion_weight: float,
    settings: GroupingSettings,
) -> Evidence:
    """Searches the catalogue in itself, by each pattern among the products that have it.

    Args:
        products: The catalogue.
        calibration: Patterns without a curve are left out.
        fusion_weight: w, the share of the image in "both", 0 to 1.
        settings: How neighbours are searched.

    Raises:
        ValueError: If the catalogue is empty.
    """
    if not len(products):
        raise ValueError("there are no products to group")
    weights = {
        "image": ModalityWeights(image=1, text=0),
        "text": ModalityWeights(image=0, text=1),
        "both": ModalityWeights(image=fusion_weight, text=1 - fusion_weight),
    }
    edges = {}
    for pattern in PATTERNS:
        rows = np.flatnonzero(rows_with_pattern(products, pattern))
        if pattern not in calibration.curves or len(rows) < 2:
            continue
        neighbours = nearest_products(products.embeddings.rows(rows), weights[pattern], settings)
        edges[pattern] = neighbour_edges(
            neighbours,
            rows,
            calibration.curves[pattern],
            needs_mutual_edges=settings.needs_mutual_edges,
        )
    return Evidence(product_count=len(products), edges=edges)


def group_by(
    evidence: Evidence, thresholds: Mapping[str, float], settings: GroupingSettings
) -> Groups:
    """Forms the groups that thresholds give."""
    return form_groups(evidence.united(thresholds), evidence.product_count, settings)


def thresholds_to_json(thresholds: Mapping[str, float]) -> dict[str, float | None]:
    """Returns thresholds as JSON values; null leaves a pattern out."""
    return {
        pattern: value if math.isfinite(value) else None for pattern, value in thresholds.items()
    }


def thresholds_from_json(text: str) -> dict[str, float]:
    """Reads the thresholds out of the results of a grouping.

    Raises:
        ValueError: If there are none, or of unknown patterns.
    """
    try:
        thresholds = {
            str(pattern): LEFT_OUT if value is None else float(value)
            for pattern, value in json.loads(text)["thresholds"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the results of a grouping: {error!r}") from error
    if unknown := sorted(set(thresholds) - set(PATTERNS)):
        raise ValueError(f"thresholds are of {PATTERNS}, got {unknown[0]!r}")
    return thresholds
