"""Photos that a training step learns from each second, beside plain timm training of the backbone.

python -m tests.benchmarks.training_speed
python -m tests.benchmarks.training_speed --backbone resnet50 --side 224 --batch 256

The time in which a batch is made says what share of a step loading takes.

Plain training is what timm's own documentation does: the model with a classifier, cross-entropy and
AdamW. Both ways get the same photos, made up and ready in memory, and the same precision: sixteen
bits on a GPU, 32 on a CPU. Each runs in a process of its own, in turn, because what ours tells the
C library about memory holds for a whole process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import timm
import torch
from lightning.pytorch.callbacks import Callback
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from tests.benchmarks.end_to_end.offers import WORD_COUNT, WORDS
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.report import FOLDER, Report, Row
from twinshelf.training.catalogues.product import Product
from twinshelf.training.command_line import choose_device
from twinshelf.training.config import read_config
from twinshelf.training.data.data_module import Batch, Collator, ProductRows
from twinshelf.training.data.pixel_cache import Pixels
from twinshelf.training.loop.loop_config import LoopConfig
from twinshelf.training.loop.module import EncoderModule
from twinshelf.training.loop.trainer import build_trainer, keep_freed_memory
from twinshelf.training.model.encoder import build_encoder
from twinshelf.training.model.text_backbone import scratch_architecture
from twinshelf.training.preprocessing.tokens import TextTokenizer

ROUNDS = 3
WARM_UP_STEPS = 3
GROUP_SIZE = 4
TOKEN_COUNT = 16
VOCABULARY_SIZE = 1000


class StepClock(Callback):
    """Notes when each step ended, seconds."""

    def __init__(self) -> None:
        """Begins without a step."""
        self.ends_s: list[float] = []

    def on_train_batch_end(self, *_: object) -> None:
        """Notes the time once the device has done all it was given."""
        _wait_for_device()
        self.ends_s.append(time.perf_counter())


def time_ours(options: argparse.Namespace) -> list[float]:
    """Returns the seconds of each step of `training`: one tower in use, both heads and losses."""
    config = read_config(["--config", "grocery", f"--model.image.name={options.backbone}",
                          "--model.image.options={}"])  # fmt: skip
    architecture = scratch_architecture(
        config.model.text.scratch, vocabulary_size=VOCABULARY_SIZE, max_token_count=TOKEN_COUNT
    )
    model = build_encoder(config.model, image_size_px=options.side, architecture=architecture)
    model.image_tower.to(memory_format=torch.channels_last)
    group_count = options.batch // GROUP_SIZE
    module = EncoderModule(
        model,
        loss=replace(config.loss, streams=replace(config.loss.streams, text=0.0)),
        optimizer=replace(config.optimizer, image_batch_norm_mode="moving"),
        group_count=group_count,
        seed=0,
    )
    batch = Batch(
        pixels=_draw_photos(options),
        has_image=torch.ones(options.batch, dtype=torch.bool),
        input_ids=torch.zeros(options.batch, TOKEN_COUNT, dtype=torch.long),
        attention_mask=torch.ones(options.batch, TOKEN_COUNT, dtype=torch.long),
        has_text=torch.zeros(options.batch, dtype=torch.bool),
        labels=torch.arange(options.batch) % group_count,
    )
    loader: DataLoader[Batch] = DataLoader([batch] * options.steps, batch_size=None)  # type: ignore[arg-type]
    clock = StepClock()
    with tempfile.TemporaryDirectory() as folder:
        trainer: Any = build_trainer(
            loop_config(),
            folder=Path(folder),
            gradient_clip=config.optimizer.gradient_clip,
            with_validation=False,
        )
        trainer.callbacks.append(clock)
        if trainer.strategy.root_device.type == "cpu":
            keep_freed_memory()
        trainer.fit(module, loader)
    return np.diff(clock.ends_s).tolist()


def loop_config() -> LoopConfig:
    """Returns a loop of one epoch in the precision of plain training: 32 bits on a CPU."""
    usual = LoopConfig(epoch_count=1, loggers=(), show_progress=False)
    return usual if torch.cuda.is_available() else replace(usual, precision="32-true")


def time_plain(options: argparse.Namespace) -> list[float]:
    """Returns the seconds of each step of a plain loop around `timm.create_model`."""
    device = torch.device(choose_device("auto"))
    class_count = options.batch // GROUP_SIZE
    model = timm.create_model(options.backbone, num_classes=class_count).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.05)
    pixels = _draw_photos(options)
    labels = (torch.arange(options.batch) % class_count).to(device)
    ends_s = []
    for _ in range(options.steps):
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = cross_entropy(model(pixels.to(device).float() / 127.5 - 1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        _wait_for_device()
        ends_s.append(time.perf_counter())
    return np.diff(ends_s).tolist()


def time_loading(options: argparse.Namespace) -> list[float]:
    """Returns the seconds in which each batch is made: photos and texts varied, texts tokenised."""
    config = read_config(["--config", "grocery"])
    generator = np.random.default_rng(0)
    paths = [Path(f"{number}.jpg") for number in range(options.batch)]
    pixels = _draw_photos(options).numpy()
    products = [
        Product(
            product_id=path.stem,
            images=(path,),
            title=" ".join(generator.choice(WORDS, WORD_COUNT)),
        )
        for path in paths
    ]
    settings = replace(config.preprocessing, image_size_px=options.side)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        model = WordLevel({"[UNK]": 0, **{word: n + 1 for n, word in enumerate(WORDS)}}, "[UNK]")
        words = Tokenizer(model)
        words.pre_tokenizer = Whitespace()
        words.save(str(file))
        collate = Collator(TextTokenizer(file, settings), options.side)
    rows = ProductRows(
        products,
        labels=range(options.batch),
        photos=Pixels(array=pixels, rows={str(path): row for row, path in enumerate(paths)}),
        settings=settings,
        is_passage=[False] * options.batch,
        augmentation=replace(
            config.augmentation, image=replace(config.augmentation.image, size_px=None)
        ),
    )
    times_s = []
    for _ in range(options.steps):
        start_s = time.perf_counter()
        collate([rows[row] for row in range(options.batch)])
        times_s.append(time.perf_counter() - start_s)
    return times_s


# The last is no way to train: loading comes on top of a step unless a worker does it meanwhile.
WAYS: dict[str, Callable[[argparse.Namespace], list[float]]] = {
    "ours": time_ours,
    "plain timm": time_plain,
    "loading alone": time_loading,
}


def _draw_photos(options: argparse.Namespace) -> torch.Tensor:
    """Draws uint8 pixels (B, 3, S, S); what they show does not matter for the time."""
    shape = (options.batch, 3, options.side, options.side)
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures both ways in turn and prints photos per second and their ratio; returns 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.training_speed",
        description="Photos a second in training, beside a plain timm loop.",
    )
    add = parser.add_argument
    add("--backbone", default="mobilenetv2_100", help="timm model (default: %(default)s)")
    add("--side", type=int, default=160, help="pixels (default: %(default)s)")
    add("--batch", type=int, default=64, help="photos of a step (default: %(default)s)")
    add("--steps", type=int, default=12, help="steps of a round (default: %(default)s)")
    add("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    add(
        "--way", choices=tuple(WAYS), help="time this way alone, once; prints the seconds of a step"
    )
    options = parser.parse_args(arguments)
    if options.way:
        L.seed_everything(0, verbose=False)
        steps_s = WAYS[options.way](options)
        sys.stdout.write(f"{float(np.median(steps_s[WARM_UP_STEPS:]))}\n")
        return 0
    own = sys.argv[1:] if arguments is None else list(arguments)
    times_s: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name in WAYS:
            command = [sys.executable, "-m", "tests.benchmarks.training_speed", *own, "--way", name]
            found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            times_s[name].append(float(found.stdout.split()[-1]))
    step_s = {name: float(np.median(each)) for name, each in times_s.items()}
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    report = Report(name="training_speed", machine=describe_machine(("timm", "lightning")))
    report.say(str(report.machine))
    report.add(
        f"{options.backbone}, {options.side} px, {options.batch} photos a step, {where}",
        step_rows(options, step_s),
    )
    report.save(options.output)
    return 0


def step_rows(options: argparse.Namespace, step_s: dict[str, float]) -> list[Row]:
    """Returns the time of a step of each way, and how much more ours learns from in that time."""
    return [
        {
            "way": name,
            "ms a step": 1e3 * each,
            "photos a second": options.batch / each,
            "of a step of ours": each / step_s["ours"],
        }
        for name, each in step_s.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
