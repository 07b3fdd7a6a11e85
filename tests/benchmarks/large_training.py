"""Preparing and training on a table of any size: the time, and the memory that it needs.

Memory is what belongs to the process alone; mapped files count as the system's, which takes their
pages back when it needs them.

python -m tests.benchmarks.large_training --rows 100000 1000000 --train-s 60
python -m tests.benchmarks.large_training --rows 10000000 --prepared --train-s 420
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twinshelf.training.catalogues.table import COLUMNS, SCHEMA

GROUP_SIZE = 4
WORD_COUNT = 20_000
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
WORDS = pa.array(["".join(np.random.default_rng(n).choice(LETTERS, 6)) for n in range(WORD_COUNT)])
ROWS_AT_ONCE = 100_000
SEARCHED_COUNT = 2000
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


def write_offers(path: Path, first: int, count: int) -> None:
    """Writes offers of titles and descriptions, four a group, as a table of our own."""
    path.parent.mkdir(exist_ok=True)
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for start in range(first, first + count, ROWS_AT_ONCE):
            row_count = min(ROWS_AT_ONCE, first + count - start)
            writer.write_table(draw_offers(start, row_count))


def draw_offers(first: int, count: int) -> pa.Table:
    """Draws offers by the numbers of their rows; the same come out the same."""
    generator = np.random.default_rng((0, first))
    places = np.arange(first, first + count)
    groups, place_in_groups = np.unique(places // GROUP_SIZE, return_inverse=True)

    def texts(row_count: int, word_count: int) -> pa.Array:
        """Returns texts of words that are drawn."""
        drawn = generator.integers(WORD_COUNT, size=(word_count, row_count))
        return pc.binary_join_element_wise(*map(WORDS.take, map(pa.array, drawn)), " ")

    def named(name: str, numbers: npt.NDArray[np.int64]) -> pa.Array:
        """Returns a name before each number."""
        return pc.binary_join_element_wise(name, pa.array(numbers).cast(pa.string()), " ")

    nothing = pa.array([""]).take(pa.array(np.zeros(count, np.int64)))
    columns = dict.fromkeys(COLUMNS, nothing) | {
        "product_id": named("offer", places),
        "title": pc.binary_join_element_wise(
            texts(len(groups), 5).take(pa.array(place_in_groups)), texts(count, 2), " "
        ),
        "description": texts(len(groups), 60).take(pa.array(place_in_groups)),
        "category": named("category", places % 1000),
        "price": pa.nulls(count, pa.float64()),
        "group": named("product", groups[place_in_groups]),
    }
    return pa.table(columns).cast(SCHEMA)


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
    parser.add_argument("--prepared", action="store_true", help="draw what `make data` would write")
    parser.add_argument("--train-s", type=float, help="stop training after so many seconds")
    options = parser.parse_args(arguments)
    for count in options.rows:
        with tempfile.TemporaryDirectory() as name:
            folder, said = Path(name), f"{count} rows, "
            if options.prepared:
                for table, first, row_count in (
                    ("train", 0, count),
                    ("queries", count, SEARCHED_COUNT // 4),
                    ("gallery", count, SEARCHED_COUNT),
                ):
                    write_offers(folder / "data" / f"{table}.parquet", first, row_count)
            else:
                source = folder / "offers.parquet"
                write_offers(source, 0, count)
                data = ("--data", str(source), "--out", str(folder / "data"))
                prepared = measure(["twinshelf.training.catalogues.prepare", *data])
                said += f"prepared in {prepared.time_s:.0f} s and {prepared.peak_mib:.0f} MiB, "
            size_mib = (folder / "data" / "train.parquet").stat().st_size / MIB
            places = (f"--data.folder={folder / 'data'}", f"--output={folder / 'run'}")
            trained = measure(
                ["twinshelf.training.train", *places, *SMALL_TOWERS], most_s=options.train_s
            )
        sys.stdout.write(
            f"{said}trained on {size_mib:.0f} MiB of Parquet for {trained.time_s:.0f} s in "
            f"{trained.peak_mib:.0f} MiB\n"
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
