"""Preparing and training on a table of any size: the time, and the memory that it needs.

Memory is what belongs to the process alone; mapped files count as the system's, which takes their
pages back when it needs them.

python -m tests.benchmarks.large_training --rows 100000 1000000 --train-s 60
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table

GROUP_SIZE = 4
WORD_COUNT = 20_000
LOOK_S = 0.2
MIB = 1024 * 1024
SMALL_TOWERS = (
    "--model.image.name=test_efficientnet",
    "--model.text.scratch.width=32",
    "--model.text.scratch.layer_count=1",
    "--preprocessing.image_size_px=32",
    "--sampler.groups_per_batch=16",
    "--loop.epoch_count=1",
    "--loop.show_progress=false",
    "--loop.loggers=[]",
)


class Cost(NamedTuple):
    """What a command took: seconds, and the most memory of its own, MiB."""

    time_s: float
    peak_mib: float


def draw_offers(count: int) -> Iterator[Product]:
    """Draws offers of titles and descriptions, four a group, lazily."""
    generator = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    words = ["".join(generator.choice(letters, 6)) for _ in range(WORD_COUNT)]
    for number in range(count):
        if number % GROUP_SIZE == 0:
            title = [words[i] for i in generator.integers(WORD_COUNT, size=8)]
            text = " ".join(words[i] for i in generator.integers(WORD_COUNT, size=60))
        yield Product(
            product_id=f"offer {number}",
            title=" ".join(title[number % GROUP_SIZE :]),
            description=text,
            category=f"c{number % 1000}",
            group=f"product {number // GROUP_SIZE}",
        )


def measure(command: Sequence[str], most_s: float | None = None) -> Cost:
    """Runs a module of ours, stopped by SIGTERM after `most_s`; shows what it writes if it fails.

    Raises:
        RuntimeError: If it fails by itself.
    """
    start_s = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=log, stderr=subprocess.STDOUT
        )
        watched, peak, is_stopped = psutil.Process(process.pid), 0.0, False
        while process.poll() is None:
            memory = watched.memory_info()
            peak = max(peak, (memory.rss - memory.shared) / MIB)
            if most_s and not is_stopped and time.perf_counter() - start_s > most_s:
                process.send_signal(signal.SIGTERM)
                is_stopped = True
            time.sleep(LOOK_S)
        if process.returncode and not is_stopped:
            log.seek(0)
            raise RuntimeError(f"{command[0]} failed: {log.read()[-2000:]}")
    return Cost(time.perf_counter() - start_s, peak)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepares and trains by the number of rows; prints time and memory."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.large_training",
        description="Prepare a table of N offers and train small towers on it.",
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--train-s", type=float, help="stop training after so many seconds")
    options = parser.parse_args(arguments)
    for count in options.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_table(folder / "offers.parquet", draw_offers(count))
            size = (folder / "offers.parquet").stat().st_size / MIB
            data = ("--data", str(folder / "offers.parquet"), "--out", str(folder / "data"))
            prepared = measure(["twinshelf.training.catalogues.prepare", *data])
            places = (f"--data.folder={folder / 'data'}", f"--output={folder / 'run'}")
            trained = measure(
                ["twinshelf.training.train", *places, *SMALL_TOWERS], most_s=options.train_s
            )
        sys.stdout.write(
            f"{count} rows, {size:.0f} MiB of Parquet: prepared in {prepared.time_s:.0f} s and "
            f"{prepared.peak_mib:.0f} MiB, trained for {trained.time_s:.0f} s in "
            f"{trained.peak_mib:.0f} MiB\n"
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
