"""Bulk embedding against a plain loop over the same batches, and with workers and driver killed.

python -m tests.benchmarks.bulk --products .cache/data/generated/gallery.parquet
python -m tests.benchmarks.bulk --count 2000 --workers 2
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.machine import describe_machine
from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.server.bulk.embedded_folder import enumerate_parts, output_name, part_path
from twinshelf.server.bulk.embedding_run import (
    EmbeddingOrder,
    embed_tasks,
    find_published,
    plan_tasks,
)
from twinshelf.server.bulk.product_batch import read_batches
from twinshelf.server.bulk.workers import WorkerConfig, start_workers
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.server.services.conversions import encoder_input
from twinshelf.v1 import product_pb2

PRODUCTS = "products.parquet"
# What float16 makes of a number of 1 at most.
HALF_PRECISION = 5e-4
_PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What embedding took, from the first batch that was done to the last.

    Attributes:
        products_per_s: Products a second.
        cpu_ms: Time of all cores, for one product.
    """

    products_per_s: float
    cpu_ms: float


class Clock:
    """Takes times while rows are counted; start-up is not."""

    def __init__(self, row_count: int) -> None:
        """Takes how many rows will be counted."""
        self._row_count = row_count
        self._done_count = self._first_count = 0
        self._begin = self._end = (0.0, 0.0)

    def count(self, row_count: int = 1) -> None:
        """Counts rows that are done."""
        self._done_count += row_count
        if not self._first_count:
            self._first_count, self._begin = self._done_count, _now()
        if self._done_count == self._row_count:
            self._end = _now()

    def rate(self) -> Rate:
        """Returns what the rows after the first ones took."""
        count = self._done_count - self._first_count
        wall_s, cpu_s = (end - begin for begin, end in zip(self._begin, self._end, strict=True))
        return Rate(products_per_s=count / wall_s, cpu_ms=1000 * cpu_s / count)


def _now() -> tuple[float, float]:
    """Returns the time, and that of all cores which this process and its children have taken."""
    cpu_s = 0.0
    for each in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            cpu_s += sum(each.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return time.monotonic(), cpu_s


def write_products(source: Path, path: Path, count: int) -> None:
    """Writes so many products: those of a file over and over, under identifiers of their own."""
    rows = pq.read_table(source)
    table = pa.concat_tables([rows] * (count // len(rows) + 1)).slice(0, count)
    place = table.column_names.index("product_id")
    ids = pa.array([f"p{number}" for number in range(count)])
    pq.write_table(table.set_column(place, "product_id", ids), path)


def read_inputs(
    path: Path, reading: ReadOptions, encoder: LocalEncoder
) -> list[list[EncoderInput]]:
    """Returns what an encoder is asked for the products of a file, in the batches of a run."""
    contract = encoder.contract
    batches = []
    files = ProductFiles([path], reading)
    for batch in read_batches(files, 0, contract.max_batch_size, frozenset()):
        messages = [product_pb2.Product.FromString(row.product) for row in batch.rows]
        prefix = contract.text_fields.passage_prefix
        inputs = [encoder_input(message, contract, prefix) for message in messages]
        batches.append([each for each in inputs if each is not None])
    return batches[:-1]  # the last one marks the end


def run_loop(
    path: Path, reading: ReadOptions, repository: Path, thread_count: int
) -> tuple[Rate, list[OfferEmbedding]]:
    """Embeds a file's batches, read beforehand, one after the other, and does nothing else."""
    encoder = LocalEncoder(repository, thread_count=thread_count)
    batches = read_inputs(path, reading, encoder)
    clock = Clock(sum(map(len, batches)))
    made = []
    for batch in batches:
        made += [each for each in encoder.encode_now(batch) if isinstance(each, OfferEmbedding)]
        clock.count(len(batch))
    return clock.rate(), made


def run_embed(
    path: Path, reading: ReadOptions, out: Path, repository: Path, worker_count: int
) -> Rate:
    """Embeds a file as `twinshelf embed` does: reads, embeds and writes."""
    order = EmbeddingOrder(
        paths=(path,),
        reading=reading,
        folder=out,
        repository=repository,
        version=0,
        workers=WorkerConfig(count=worker_count),
    )
    encoder, document = find_published(order)
    clock = Clock(pq.read_metadata(path).num_rows)
    with start_workers(encoder, order.workers) as workers:
        contract = EncoderContract.from_json(document)
        embed_tasks(plan_tasks(order, encoder.digest), workers, contract, clock.count)
    return clock.rate()


def run_killed(path: Path, reading: ReadOptions, out: Path, repository: Path) -> str:
    """Embeds a file while a worker, and later the whole run, is killed; runs again.

    Returns:
        What was done when, in words.
    """
    command = [
        *(sys.executable, "-m", "twinshelf.client.cli", "embed", str(path)),
        *("--image-root", str(reading.image_root)),
        *("--out", str(out), "--model-repository", str(repository), "--workers", "2"),
    ]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    parts = out / output_name(path)
    _wait_for(part_path(parts, 0))
    _workers()[0].kill()
    _wait_for(part_path(parts, 1))
    left = _workers()
    run.kill()
    run.wait()
    alive = psutil.wait_procs(left, timeout=60)[1]
    done_count = len(enumerate_parts(parts))
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return (
        f"one of two workers killed within the second part, the run after {done_count} parts; "
        f"{len(alive)} of its workers stayed; run again"
    )


def _workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [each for each in children if "EmbeddingWorker" in each.name()]


def _wait_for(path: Path) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not path.exists():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{path} was not written within {_PATIENCE_S:.0f} s")
        time.sleep(0.1)


def compare(parts: Path, made: Sequence[OfferEmbedding]) -> float:
    """Returns the greatest difference of the embeddings in a folder to those of the loop.

    Raises:
        AnswersDifferError: If a row is missing or there twice, or an embedding is another one.
    """
    table = pa.concat_tables(pq.read_table(path) for _, path in enumerate_parts(parts))
    if table["row_number"].to_pylist() != list(range(1, len(made) + 1)):
        raise AnswersDifferError(f"{len(made)} rows must be there once each, got {len(table)}")
    error = 0.0
    for name in ("image", "text"):
        for row, each in zip(table[f"{name}_embedding"].to_pylist(), made, strict=True):
            half = getattr(each, name)
            if (row is None) != (half is None):
                raise AnswersDifferError(f"a row has another {name} than the loop's")
            if half is not None:
                error = max(error, float(np.abs(np.asarray(row, np.float32) - half).max()))
    if error > HALF_PRECISION:
        raise AnswersDifferError(f"embeddings are off by {error:.1e}, more than half precision is")
    return error


def measure(report: Report, options: argparse.Namespace, folder: Path) -> None:
    """Embeds the products in each way, in a folder, and adds what it took to a report.

    Raises:
        AnswersDifferError: If a row is missing or there twice, or an embedding is another one.
    """
    repository = options.repository.absolute()
    # Photos stay where they lie beside the products.
    reading = ReadOptions(image_root=options.products.parent.absolute())
    path = folder / PRODUCTS
    write_products(options.products, path, options.count)
    rows: list[Row] = []
    for worker_count in options.workers:
        # One worker takes every core, as the loop does; of several each takes its share.
        threads = 0 if worker_count == 1 else 1
        loop, made = run_loop(path, reading, repository, threads)
        out = folder / f"out-{worker_count}"
        rate = run_embed(path, reading, out, repository, worker_count)
        error = compare(out / output_name(path), made)
        rows.append(_row("plain loop", threads, loop, loop, 0.0))
        rows.append(_row(f"embed, {worker_count}", threads, rate, loop, error))
    report.add(f"{options.count:,} products", rows)
    if options.kill:
        out = folder / "out-killed"
        killed = run_killed(path, reading, out, repository)
        _, made = run_loop(path, reading, repository, thread_count=1)
        error = compare(out / output_name(path), made)
        report.add("killed", [{"what": killed, "rows": "once each", "off by": f"{error:.1e}"}])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 when a row is missing or another one, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--products", type=Path, default=".cache/data/generated/gallery.parquet")
    parser.add_argument("--repository", type=Path, default="model_repository")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    parser.add_argument("--kill", action="store_true", help="kill workers and driver, too")
    options = parser.parse_args(arguments)
    report = Report(name="bulk", machine=describe_machine(["ray", "pyarrow"]))
    report.say(str(report.machine))
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(report, options, Path(folder))
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    report.save(options.output)
    return 0


def _row(who: str, threads: int, rate: Rate, loop: Rate, error: float) -> Row:
    return {
        "who": who,
        "threads each": str(threads or "all"),
        "products/s": rate.products_per_s,
        "of the loop": rate.products_per_s / loop.products_per_s,
        "CPU, ms a product": rate.cpu_ms,
        "off by": f"{error:.1e}",
    }


if __name__ == "__main__":
    sys.exit(main())
