"""Triton model `pair_features`: two records as JSON in, features of the pair out.

`export.pair_scorer` copies this file into a version folder, next to the features that the version
was trained with, its token statistics and its feature names. A record that cannot be read fails
its own request and no other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from pairs.features import Cosines, cosine_count, feature_matrix
from pairs.records import record_from_json
from pairs.statistics import TokenStatistics

VERSION_FOLDER = Path(__file__).resolve().parent
# Rounding may carry the cosine of two unit vectors a little out of its range.
COSINE_LIMIT = 1.001


class TritonPythonModel:
    """Turns `LEFT`, `RIGHT` bytes (B, 1) and `COSINES` (B, 3) into `FEATURES` float32 (B, F).

    Where the version reads the cosine of the main pictures too, `COSINES` are (B, 4).
    """

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the statistics and the feature names that this version was trained with."""
        self._statistics = TokenStatistics.load(VERSION_FOLDER / "statistics.npz")
        self._names = json.loads((VERSION_FOLDER / "feature_names.json").read_text("utf-8"))
        self._cosine_count = cosine_count(self._names)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers each request by itself, with features or with the reason why there are none."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        left, right, cosines = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            for name in ("LEFT", "RIGHT", "COSINES")
        )
        try:
            pairs = list(zip(_records("LEFT", left), _records("RIGHT", right), strict=True))
            known = _cosines(cosines, self._cosine_count)
            names, features = feature_matrix(pairs, self._statistics, known)
        except ValueError as error:
            refusal = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=refusal)
        chosen = features[:, [names.index(name) for name in self._names]]  # (B, F)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("FEATURES", np.ascontiguousarray(chosen))]
        )


def _records(tensor: str, rows: Any) -> list[Any]:
    records = []
    for number, row in enumerate(rows.reshape(-1)):
        try:
            records.append(record_from_json(bytes(row).decode("utf-8")))
        except ValueError as error:
            raise ValueError(f"row {number}: {tensor} {error}") from error
    return records


def _cosines(rows: Any, count: int) -> list[Cosines]:
    if rows.shape[1:] != (count,):
        raise ValueError(f"COSINES must be (B, {count}), got {rows.shape}")
    if (np.abs(rows) > COSINE_LIMIT).any():  # NaN compares as false: it means unknown
        raise ValueError("COSINES must be -1 to 1, or NaN where unknown")
    return [Cosines.of(row) for row in np.clip(rows, -1, 1).tolist()]
