"""Triton model `text_preprocess`: texts as UTF-8 bytes in, token ids and mask out.

`export` copies this file into a version folder, next to the preprocessing that the version was
trained with, its settings and its tokenizer. A text that is not UTF-8, or of which no known token
is left, fails its own request and no other; of a request of several texts every bad row is named.
`AFTER` is not read: an ensemble sets it so that this step waits for another.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from preprocessing.settings import PreprocessingSettings
from preprocessing.tokens import TextTokenizer, Tokens

VERSION_FOLDER = Path(__file__).resolve().parent
MAX_NAMED_ROWS = 10


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
        texts, reasons = _decode_rows(rows)
        if reasons:
            return _refuse(reasons)
        tokens = self._tokenizer.encode(texts)
        if reasons := _unreadable_rows(texts, tokens):
            return _refuse(reasons)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("INPUT_IDS", tokens.input_ids),
                pb_utils.Tensor("ATTENTION_MASK", tokens.attention_mask),
            ]
        )


def _decode_rows(rows: Iterable[bytes]) -> tuple[list[str], dict[int, str]]:
    """Reads rows as UTF-8; returns their texts, and of each bad row its number and the reason."""
    texts: list[str] = []
    reasons: dict[int, str] = {}
    for number, row in enumerate(rows):
        try:
            texts.append(bytes(row).decode("utf-8"))
        except UnicodeDecodeError as error:
            reasons[number] = f"text must be UTF-8, got {error.reason}"
    return texts, reasons


def _unreadable_rows(texts: list[str], tokens: Tokens) -> dict[int, str]:
    """Names the rows of which nothing is left: the tower would take all of them for one text."""
    return {
        number: f"text must hold words that the encoder knows, got {text[:40]!r}"
        for number, (text, has_text) in enumerate(zip(texts, tokens.has_text, strict=True))
        if text and not has_text
    }


def _refuse(reasons: dict[int, str]) -> Any:
    refusal = pb_utils.TritonError(_name_rows(reasons), pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse(error=refusal)


def _name_rows(reasons: dict[int, str]) -> str:
    """Joins the reasons of bad rows, so that a caller can send the others again by themselves."""
    named = [f"row {number}: {reason}" for number, reason in reasons.items()]
    if len(named) > MAX_NAMED_ROWS:
        named = [*named[:MAX_NAMED_ROWS], f"and {len(named) - MAX_NAMED_ROWS} rows more"]
    return "; ".join(named)
