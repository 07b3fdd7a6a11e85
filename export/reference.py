"""The encoder as training knows it, with the answers of a published version, to judge it by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.preprocessing.images import decode_image

Tensors = Mapping[str, npt.NDArray[Any]]


class TorchReference:
    """Training's own preprocessing and towers, under the tensor names of the model repository."""

    def __init__(self, encoder: TrainedEncoder) -> None:
        """Takes the trained encoder."""
        self._settings, self._tokenizer = encoder.settings, encoder.tokenizer
        self._model = encoder.model.eval()

    def reads(self, text: str) -> bool:
        """Says whether anything of a text is left to embed; an empty one is read as such."""
        return not text or bool(self._tokenizer.encode([text]).has_text[0])

    @torch.inference_mode()
    def encode_photos(self, photos: Sequence[bytes]) -> Tensors:
        """Embeds B photos: `PIXELS` uint8 (B, 3, S, S), `IMAGE_EMBEDDING` float32 (B, D)."""
        pixels = np.stack([decode_image(photo, self._settings) for photo in photos])
        rows = self._model.image_tower(torch.from_numpy(pixels))
        return {"PIXELS": pixels, "IMAGE_EMBEDDING": rows.numpy()}

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensors:
        """Embeds B texts: `INPUT_IDS`, `ATTENTION_MASK` int64 (B, L), `TEXT_EMBEDDING` (B, D)."""
        tokens = self._tokenizer.encode(texts)
        rows = self._model.text_tower(
            torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
        )
        return {
            "INPUT_IDS": tokens.input_ids,
            "ATTENTION_MASK": tokens.attention_mask,
            "TEXT_EMBEDDING": rows.numpy(),
        }

    @torch.inference_mode()
    def encode_products(self, photos: Sequence[bytes], texts: Sequence[str]) -> Tensors:
        """Embeds B photos with their texts: all of the above and `EMBEDDING` float32 (B, 2D)."""
        tensors = {**self.encode_photos(photos), **self.encode_texts(texts)}
        fused = self._model.fusion(
            torch.from_numpy(tensors["IMAGE_EMBEDDING"]),
            torch.from_numpy(tensors["TEXT_EMBEDDING"]),
        )
        return {**tensors, "EMBEDDING": fused.numpy()}
