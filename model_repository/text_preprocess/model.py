"""Triton model `text_preprocess`: texts as UTF-8 bytes in, token ids and mask out.

`export` copies this file into a version folder, next to the preprocessing that the version was
trained with, its settings and its tokenizer. A bad text fails its own request and no other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from preprocessing.settings import PreprocessingError, PreprocessingSettings
from preprocessing.tokens import TextTokenizer

VERSION_FOLDER = Path(__file__).resolve().parent


class TritonPythonModel:
    """Turns `TEXT` bytes (B, 1) into `INPUT_IDS`, `ATTENTION_MASK` int64 (B, L).

    L is the smallest token bucket that holds the longest text of the request.
    """

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the settings and the tokenizer that this version was trained with."""
        settings = (VERSION_FOLDER / "settings.json").read_text(encoding="utf-8")
        self._tokenizer = TextTokenizer(
            VERSION_FOLDER / "tokenizer.json", PreprocessingSettings.from_json(settings)
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers each request by itself, with tokens or with the reason why there are none."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        rows = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)
        try:
            tokens = self._tokenizer.encode([_decode(row, n) for n, row in enumerate(rows)])
        except PreprocessingError as error:
            refusal = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=refusal)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("INPUT_IDS", tokens.input_ids),
                pb_utils.Tensor("ATTENTION_MASK", tokens.attention_mask),
            ]
        )


def _decode(row: bytes, number: int) -> str:
    try:
        return bytes(row).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PreprocessingError(f"row {number}: TEXT must be UTF-8, got {error.reason}") from error
