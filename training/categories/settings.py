"""How categories are predicted and judged."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.calibration import PATTERNS
from training.categories.knn import MOST_NEIGHBOURS
from training.categories.labels import LabelField
from training.categories.mlp import MlpConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CategorySettings:
    """How categories are predicted and judged.

    Attributes:
        label: What is predicted.
        patterns: Modality patterns to judge.
        fusion_weight: w, the share of the image where both modalities count, 0 to 1.
        most_neighbours: Largest K that is tried, 1 or more.
        target_accuracy: Share of right answers that the margin is to reach, above 0, at most 1.
        mlp: The network.
        seed: Seed of the halves and of the intervals.
        device: Where scores are computed.

    Raises:
        ValueError: If a value is out of range.
    """

    label: LabelField = "category"
    patterns: tuple[str, ...] = PATTERNS
    fusion_weight: float = 0.5
    most_neighbours: int = MOST_NEIGHBOURS
    target_accuracy: float = 0.95
    mlp: MlpConfig = field(default_factory=MlpConfig)
    seed: int = 42
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.patterns or set(self.patterns) - set(PATTERNS):
            raise ValueError(f"patterns must be among {PATTERNS}, got {self.patterns}")
        if self.most_neighbours < 1:
            raise ValueError(f"most_neighbours must be 1 or more, got {self.most_neighbours}")
        if not 0 < self.target_accuracy <= 1:
            raise ValueError(
                f"target_accuracy must be above 0 and at most 1, got {self.target_accuracy}"
            )
