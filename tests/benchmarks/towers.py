"""The towers alone by batch size: torch eager, torch.compile, and every published version.

python -m tests.benchmarks.towers --run runs/generated --versions 1 2
python -m tests.benchmarks.towers --versions 1 2 --batch-sizes 1 16 64 256 1024

Where there is a GPU, all run on it, and torch in sixteen bits too.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from tests.benchmarks.end_to_end.offers import WORDS
from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from tests.benchmarks.rounds import time_in_turn
from twinshelf.server.encoders.published_version import execution_providers
from twinshelf.server.triton.repository import newest_version
from twinshelf.training.checkpoint import TrainedEncoder, load_encoder
from twinshelf.training.command_line import choose_device

BATCH_SIZES = (1, 4, 16)
WORD_COUNT = 12
# fp32 is off by rounding alone; of 8 bits export has its own, stricter gate on real products.
LEAST_COSINE = 0.9
Run = Callable[..., np.ndarray]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 when the embeddings differ from torch's, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.towers", description="The towers alone, by batch size."
    )
    add = parser.add_argument
    add("--run", type=Path, default=Path("runs/generated"), help="weights of torch")
    add("--repository", type=Path, default=Path("model_repository"), help="of the ONNX towers")
    add("--versions", type=int, nargs="+", help="versions in it; default: the newest")
    add("--batch-sizes", type=int, nargs="+", default=list(BATCH_SIZES), help="rows of a run")
    add("--threads", type=int, default=1, help="threads of every side")
    add("--no-compile", action="store_true", help="leave torch.compile out: it takes a minute")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: a GPU)")
    add("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    torch.set_num_threads(options.threads)
    report = Report(name="towers")
    report.say(str(report.machine))
    encoder = load_encoder(options.run)
    versions = options.versions or [newest_version(options.repository)]
    try:
        for tower in ("image_tower", "text_tower"):
            model = getattr(encoder.model, tower).to(device)
            sides = {"torch eager": run_in_torch(model, device)}
            if device == "cuda":
                sides["torch eager, float16"] = torch.autocast(device)(run_in_torch(model, device))
            if not options.no_compile:
                compiled = torch.compile(model, dynamic=False)
                sides["torch.compile"] = run_in_torch(compiled, device)
            for version in versions:
                path = options.repository / tower / str(version) / "model.onnx"
                sides[f"ONNX, version {version}"] = run_in_onnx(path, options.threads, device)
            rows = [
                row
                for batch_size in options.batch_sizes
                for row in time_tower(sides, draw_inputs(tower, encoder, batch_size))
            ]
            report.add(f"{tower}, {device}, {options.threads} thread(s)", rows)
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    report.save(options.output)
    return 0


def draw_inputs(tower: str, encoder: TrainedEncoder, batch_size: int) -> tuple[np.ndarray, ...]:
    """Draws smooth pixels (B, 3, S, S), or the ids and mask (B, L) of titles."""
    generator = np.random.default_rng(0)
    if tower == "text_tower":
        titles = [" ".join(generator.choice(WORDS, WORD_COUNT)) for _ in range(batch_size)]
        tokens = encoder.tokenizer.encode(titles)
        return tokens.input_ids, tokens.attention_mask
    side = encoder.settings.image_size_px
    blots = torch.from_numpy(generator.random((batch_size, 3, 8, 8), dtype=np.float32))
    pixels = torch.nn.functional.interpolate(blots, size=(side, side), mode="bilinear")
    return ((255 * pixels).to(torch.uint8).numpy(),)


def run_in_torch(model: Callable[..., torch.Tensor], device: str) -> Run:
    """Returns a way to run a tower of torch's on the device that it is on."""

    def run(*inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            embeddings = model(*(torch.from_numpy(each).to(device) for each in inputs))
            return embeddings.float().cpu().numpy()

    return run


def run_in_onnx(path: Path, thread_count: int, device: str) -> Run:
    """Returns a way to run a published tower on "cpu" or "cuda"."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count
    providers = execution_providers(has_gpu=device == "cuda")
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, dict(zip(names, inputs, strict=True)))[0])

    return run


def time_tower(sides: Mapping[str, Run], inputs: tuple[np.ndarray, ...]) -> list[Row]:
    """Runs all sides on the same batch.

    Args:
        sides: The first is what the others are compared to.
        inputs: What each gets, (B, ...).

    Raises:
        AnswersDifferError: If an embedding has a cosine of less than it may with the first side's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.compile has much to say of itself
        embeddings = {name: run(*inputs) for name, run in sides.items()}
    first = next(iter(embeddings.values()))
    cosines = {name: float(np.min((rows * first).sum(axis=1))) for name, rows in embeddings.items()}
    if min(cosines.values()) < LEAST_COSINE:
        raise AnswersDifferError(f"least cosines with the first side: {cosines}")
    times_s = time_in_turn({name: partial(run, *inputs) for name, run in sides.items()})
    base_s = next(iter(times_s.values()))
    return [
        {
            "batch": len(inputs[0]),
            "side": name,
            "ms a row": 1e3 * each / len(inputs[0]),
            "first / this": base_s / each,
            "least cosine": cosines[name],
        }
        for name, each in times_s.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
