"""Settings of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from training.calibration import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How an evaluation is done.

    Attributes:
        top_k: The K of P@K, R@K, F1@K, NDCG@K and Acc@K, rising; Acc@10 is always reported.
        candidate_count: Candidates per query that thresholds for pairs and rows may accept.
        near_count: Candidates per query that the calibration curve is of: those a user sees.
        neighbour_count: Candidates that vote for a category.
        target_precision: Precision that the match threshold is to reach, above 0 and at most 1.
        calibration_method: How the curve is fitted.
        confidence: Share of resamples inside of the intervals, above 0 and below 1.
        resample_count: Bootstrap resamples.
        seed: Seed of the halves and the resamples.
        device: Where scores are computed: "cpu" or "cuda".

    Raises:
        ValueError: If a value is out of range.
    """

    top_k: tuple[int, ...] = (1, 5, 10)
    candidate_count: int = 50
    near_count: int = 10
    neighbour_count: int = 10
    target_precision: float = 0.95
    calibration_method: Method = "auto"
    confidence: float = 0.95
    resample_count: int = 1000
    seed: int = 42
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Checks the ranges that the metrics do not check themselves."""
        if not self.top_k or list(self.top_k) != sorted(set(self.top_k)) or self.top_k[0] < 1:
            raise ValueError(f"top_k must be rising numbers of 1 or more, got {self.top_k}")
        most = self.candidate_count
        for name in ("near_count", "neighbour_count"):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(
                    f"{name} must be 1 to candidate_count, {most}, got {getattr(self, name)}"
                )
        if not 0 < self.target_precision <= 1:
            raise ValueError(
                f"target_precision must be above 0 and at most 1, got {self.target_precision}"
            )
