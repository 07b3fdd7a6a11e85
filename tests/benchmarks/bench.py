"""Our own benchmarks, each way beside its alternative in one run, as ratios.

python -m tests.benchmarks.bench
python -m tests.benchmarks.bench --run runs/generated --repository model_repository
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from twinshelf.server.catalogue.graph import IndexSettings
from twinshelf.server.catalogue.product_record import VectorTable
from twinshelf.server.catalogue.ranking import LEAST_CANDIDATES
from twinshelf.server.catalogue.vector_index import VectorIndex
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.training.checkpoint import load_encoder
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import PreprocessingSettings

ROUNDS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two ways to the same result.

    Attributes:
        task: What both do.
        ours: What we do, and its time, seconds.
        other: The alternative, and its time, seconds.
    """

    task: str
    ours: tuple[str, float]
    other: tuple[str, float]


def compare(task: str, **ways: Callable[[], object]) -> Comparison:
    """Times two ways in turn, so that what else the machine does slows both; takes the medians."""
    (ours, run_ours), (other, run_other) = ways.items()
    times: dict[str, list[float]] = {ours: [], other: []}
    for _ in range(ROUNDS):
        for name, run in ((ours, run_ours), (other, run_other)):
            start_s = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start_s)
    first, second = (float(np.median(times[name][1:])) for name in (ours, other))
    return Comparison(task=task, ours=(ours, first), other=(other, second))


def compare_decoding() -> Comparison:
    """Decodes a photo of a phone's size with and without scaling inside the JPEG decoder."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((2048, 1536), Image.Resampling.BICUBIC).save(file, "JPEG")
    photo, settings = file.getvalue(), PreprocessingSettings(image_size_px=224)

    def decode_all_of_it() -> Image.Image:
        return Image.open(io.BytesIO(photo)).convert("RGB").resize((224, 168))

    return compare(
        "JPEG 2048×1536 to 224×224",
        scaled_decoding=lambda: decode_image(photo, settings),
        full_decoding=decode_all_of_it,
    )


def compare_encoding(run: Path, repository: Path) -> Comparison:
    """Embeds 32 photos by ONNX Runtime, preprocessing included, and by torch's towers."""
    encoder = load_encoder(run)
    local = LocalEncoder(repository, thread_count=torch.get_num_threads())
    generator = np.random.default_rng(0)
    photos = []
    for _ in range(32):
        file = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (300, 240, 3), dtype=np.uint8)).save(
            file, "JPEG"
        )
        photos.append(file.getvalue())
    inputs = [EncoderInput(image=photo, text=None) for photo in photos]
    encoder.model.eval()

    def embed_in_torch() -> None:
        pixels = np.stack([decode_image(photo, encoder.settings) for photo in photos])
        with torch.inference_mode():
            encoder.model.image_tower(torch.from_numpy(pixels))

    return compare(
        "32 photos to embeddings",
        onnx_runtime=lambda: local.encode_now(inputs),
        torch_eager=embed_in_torch,
    )


def compare_search(product_count: int) -> tuple[Comparison, float]:
    """Searches by the index and exactly; returns also recall@10 of the index."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(product_count // 20, 512))
    rows = centres[generator.integers(len(centres), size=product_count)]
    rows = rows + 0.5 * generator.normal(size=rows.shape)
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    queries = vectors[:100].astype(np.float32)
    index = VectorIndex(512, IndexSettings())
    index.add(
        VectorTable(
            product_numbers=np.arange(product_count),
            vector_versions=np.zeros(product_count, np.int64),
            checksums=np.zeros(product_count, np.int64),
            vectors=vectors,
        )
    )
    exact = vectors.astype(np.float32)

    def search_exactly() -> np.ndarray:
        # One by one, as the service gets them.
        return np.stack([np.argsort(-(exact @ query))[:10] for query in queries])

    def search_index() -> list[np.ndarray]:
        """Rescores what the index finds, as the service does."""
        best = []
        for query in queries:
            ((found,),) = index.search(query[np.newaxis], LEAST_CANDIDATES, now=0)
            order = np.argsort(-(found.vectors.astype(np.float32) @ query))[:10]
            best.append(found.product_numbers[order])
        return best

    found = [set(row.tolist()) for row in search_index()]
    truth = [set(row.tolist()) for row in search_exactly()]
    recall = float(np.mean([len(a & b) / 10 for a, b in zip(found, truth, strict=True)]))
    timed = compare(
        f"100 queries, {product_count:,} products",
        index=search_index,
        exact=search_exactly,
    )
    return timed, recall


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/generated"))
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument(
        "--products", type=int, default=20_000, help="size of the searched catalogue"
    )
    options = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    comparisons = [compare_decoding()]
    if (options.run / "weights.safetensors").is_file():
        comparisons.append(compare_encoding(options.run, options.repository))
    else:
        console.print(f"no trained encoder in {options.run}: make demo leaves one")
    searched, recall = compare_search(options.products)
    table = Table("task", "ours", "ms", "other", "ms", "other / ours")
    for each in (*comparisons, searched):
        (ours, ours_s), (other, other_s) = each.ours, each.other
        cells = (each.task, ours, f"{1e3 * ours_s:.1f}", other, f"{1e3 * other_s:.1f}")
        table.add_row(*cells, f"{other_s / ours_s:.1f}")
    console.print(table)
    console.print(f"recall@10 of the index against exact search: {recall:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
