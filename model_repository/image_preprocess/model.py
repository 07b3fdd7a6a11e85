"""Triton model `image_preprocess`: photos as bytes in, pixels out.

`export` copies this file into a version folder, next to the preprocessing that the version was
trained with and its settings. A photo that cannot be read fails its own request and no other;
of a request of several photos every bad row is named.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from preprocessing.images import decode_images
from preprocessing.settings import PreprocessingError, PreprocessingSettings

VERSION_FOLDER = Path(__file__).resolve().parent
MAX_NAMED_ROWS = 10


class TritonPythonModel:
    """Turns `IMAGE` bytes (B, 1) into `PIXELS` uint8 (B, 3, S, S)."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the settings that this version was trained with."""
        settings = (VERSION_FOLDER / "settings.json").read_text(encoding="utf-8")
        self._settings = PreprocessingSettings.from_json(settings)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers each request by itself, with pixels or with the reason why there are none."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        photos = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy().reshape(-1)
        rows = decode_images([bytes(photo) for photo in photos], self._settings)
        if reasons := {n: str(r) for n, r in enumerate(rows) if isinstance(r, PreprocessingError)}:
            sentence = _name_rows(reasons) if len(rows) > 1 else reasons[0]
            error = pb_utils.TritonError(sentence, pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=error)
        return pb_utils.InferenceResponse([pb_utils.Tensor("PIXELS", np.stack(rows))])


def _name_rows(reasons: dict[int, str]) -> str:
    """Joins the reasons of bad rows, so that a caller can send the others again by themselves."""
    named = [f"row {number}: {reason}" for number, reason in reasons.items()]
    if len(named) > MAX_NAMED_ROWS:
        named = [*named[:MAX_NAMED_ROWS], f"and {len(named) - MAX_NAMED_ROWS} rows more"]
    return "; ".join(named)
