"""The stack that a user would write instead: FastAPI, one process, Pillow, the towers, faiss flat.

python -m tests.benchmarks.end_to_end.stack --run runs/generated --towers torch --threads 2 \
    --port 8080
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import faiss
import numpy as np
import onnxruntime
import torch
import uvicorn
from fastapi import FastAPI, File, Form
from PIL import Image
from tokenizers import Tokenizer

from twinshelf.server.encoders.published_version import execution_providers
from twinshelf.training.checkpoint import TOKENIZER, load_encoder
from twinshelf.training.command_line import choose_device
from twinshelf.training.model.encoder import FusedEncoder

Embed = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def embed_in_torch(model: FusedEncoder, device: str) -> Embed:
    """Returns the towers as PyTorch runs them, on a GPU in sixteen bits."""
    model.to(device)

    def embed(pixels: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode(), torch.autocast(device, enabled=device != "cpu"):
            tokens = torch.from_numpy(ids).to(device)
            image = model.image_tower(torch.from_numpy(pixels).to(device))
            text = model.text_tower(tokens, torch.ones_like(tokens))
        return image.float().cpu().numpy(), text.float().cpu().numpy()

    return embed


def embed_in_onnx(repository: Path, version: int, thread_count: int, device: str) -> Embed:
    """Returns the exported towers as ONNX Runtime runs them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count
    image_tower, text_tower = (
        onnxruntime.InferenceSession(
            str(repository / name / str(version) / "model.onnx"),
            options,
            providers=execution_providers(has_gpu=device == "cuda"),
        )
        for name in ("image_tower", "text_tower")
    )

    def embed(pixels: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (image,) = image_tower.run(["IMAGE_EMBEDDING"], {"PIXELS": pixels})
        tokens = {"INPUT_IDS": ids, "ATTENTION_MASK": np.ones_like(ids)}
        (text,) = text_tower.run(["TEXT_EMBEDDING"], tokens)
        return np.asarray(image), np.asarray(text)

    return embed


def build_app(run: Path, embed: Embed, *, fusion_weight: float, side_px: int) -> FastAPI:
    """Builds the app: POST /products stores a product, POST /match returns the ten best."""
    tokenizer = Tokenizer.from_file(str(run / TOKENIZER))
    tokenizer.no_padding()
    app = FastAPI()
    ids: list[str] = []
    indexes: list[faiss.IndexFlatIP] = []

    def embed_offer(image: bytes, title: str, weights: tuple[float, float]) -> np.ndarray:
        photo = Image.open(io.BytesIO(image)).convert("RGB")
        photo = photo.resize((side_px, side_px), Image.Resampling.BICUBIC)
        pixels = np.ascontiguousarray(np.asarray(photo).transpose(2, 0, 1))[np.newaxis]
        tokens = np.array([tokenizer.encode(title).ids], dtype=np.int64)
        halves = embed(pixels, tokens)
        return np.hstack([w * half for w, half in zip(weights, halves, strict=True)])

    # Not async: FastAPI runs these in threads, as its own manual advises for what computes.
    @app.post("/products")
    def store(
        image: Annotated[bytes, File()], product_id: Annotated[str, Form()],
        title: Annotated[str, Form()],
    ) -> dict[str, int]:  # fmt: skip
        row = embed_offer(image, title, (1.0, 1.0)).astype(np.float32)
        if not indexes:
            indexes.append(faiss.IndexFlatIP(row.shape[1]))
        indexes[0].add(row)
        ids.append(product_id)
        return {"count": len(ids)}

    @app.post("/match")
    def match(image: Annotated[bytes, File()], title: Annotated[str, Form()]) -> dict[str, object]:
        query = embed_offer(image, title, (fusion_weight, 1 - fusion_weight)).astype(np.float32)
        scores, places = indexes[0].search(query, 10)
        return {"product_ids": [ids[i] for i in places[0]], "scores": scores[0].tolist()}

    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.end_to_end.stack")
    add = parser.add_argument
    add("--run", type=Path, required=True)
    add("--towers", choices=("torch", "onnx"), required=True)
    add("--repository", type=Path, default=Path("model_repository"), help="of the ONNX towers")
    add("--version", type=int, default=1)
    add("--threads", type=int, required=True, help="of an operator")
    add("--port", type=int, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    encoder = load_encoder(options.run)
    device = choose_device("auto")
    embed = (
        embed_in_torch(encoder.model, device)
        if options.towers == "torch"
        else embed_in_onnx(options.repository, options.version, options.threads, device)
    )
    app = build_app(
        options.run,
        embed,
        fusion_weight=encoder.model.fusion.plain_weight(),
        side_px=encoder.settings.image_size_px,
    )
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
