"""Loads the encoders of Triton, and the whole path, with perf_analyzer; saves what it measured.

`product_matcher` is the matching service, as a model of the same protocol: beside the bare
`product_encoder` of its Triton it shows what the service costs.

python -m tests.benchmarks.perf
python -m tests.benchmarks.perf --triton 127.0.0.1:8001 --concurrency 1,4,8 --models image_encoder
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
from rich.console import Console
from rich.markup import escape

from tests.benchmarks.perf_analyzer import (
    INTERVAL_MS,
    STEADY_PERCENT,
    Measurement,
    PerfAnalyzer,
    PerfError,
    find_perf_analyzer,
    measure,
)
from tests.benchmarks.perf_input import TENSORS, PerfOffer, read_offers, write_input
from tests.benchmarks.report import Report, Row
from twinshelf.client.files.rows import ProductFileError
from twinshelf.client.records import Product
from twinshelf.client.sync_client import Client

PREPARED = Path(".cache/data")
UNSTEADY_NOTE = (
    f"unsteady: no three windows of {INTERVAL_MS} ms agreed within {STEADY_PERCENT} %; "
    "something else keeps this machine busy"
)
DONE, FAILED, INTERRUPTED = 0, 1, 130
# What `twinshelf.server.up` tells the command that it runs.
STARTED_TRITON, STARTED_SERVICE = "TWINSHELF_TRITON", "TWINSHELF_ADDRESS"
USUAL_TRITON, USUAL_SERVICE = "127.0.0.1:8001", "127.0.0.1:50051"
MATCHER = "product_matcher"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 0 when every model was.

    Args:
        arguments: The command line without the program's name; None takes that of the process.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _build_parser().parse_args(given)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    address = options.triton or os.environ.get(STARTED_TRITON, USUAL_TRITON)
    service = options.service or os.environ.get(STARTED_SERVICE, USUAL_SERVICE)
    try:
        offers = read_offers(options.products or find_queries(PREPARED))
        if not _listens(address):
            if options.triton or STARTED_TRITON in os.environ:
                raise PerfError(f"no Triton listens on {address}")
            console.print(f"no Triton listens on {address}: starting one")
            return _measure_beside_triton(options, given)
        addresses = dict.fromkeys(options.models, address)
        if MATCHER in addresses:
            if not _listens(service):
                raise PerfError(f"no matching service listens on {service}: give --service")
            addresses[MATCHER] = service
        if STARTED_SERVICE in os.environ:  # the catalogue of one that serves is not ours to fill
            _store(service, offers)
        measurements = _measure_all(options, offers, addresses, console)
    except (PerfError, ProductFileError, ValueError) as error:
        console.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    report = Report(name="perf")
    report.say(str(report.machine))
    report.add("loaded by perf_analyzer", measurement_rows(measurements))
    if not all(each.is_steady for each in measurements):
        report.say(UNSTEADY_NOTE)
    report.save(options.output)
    return DONE


def find_queries(prepared: Path) -> Path:
    """Returns a table of held-out offers: that of the generated data, else the newest.

    Args:
        prepared: Folder of the prepared data.

    Raises:
        ValueError: If there is none.
    """
    generated = prepared / "generated" / "queries.parquet"
    if generated.is_file():
        return generated
    tables = list(prepared.glob("*/queries.parquet"))
    if not tables:
        raise ValueError(f"{prepared} holds no prepared data: run `make data`, or give --products")
    return max(tables, key=lambda table: table.stat().st_mtime)


def measurement_rows(measurements: Sequence[Measurement]) -> list[Row]:
    """Returns the measurements as rows of a table."""
    return [
        {
            "model": each.model,
            "concurrency": each.concurrency,
            "inferences/s": each.throughput,
            "p50 ms": each.p50_ms,
            "p95 ms": each.p95_ms,
            "p99 ms": each.p99_ms,
            "": "" if each.is_steady else "unsteady",
        }
        for each in measurements
    ]


def _measure_beside_triton(options: argparse.Namespace, given: Sequence[str]) -> int:
    """Runs this program again, beside a Triton and a service that stop with it."""
    version = ["--version", options.version] if options.version else []
    return subprocess.call(
        [sys.executable, "-m", "twinshelf.server.up", "--free-ports"]
        + ["--model-repository", str(options.repository), *version]
        + ["--catalogue", str(options.output / "catalogue"), "--logs", str(options.output)]
        + ["--", sys.executable, "-m", "tests.benchmarks.perf", *given],
        # The same offers come again and again: none is to be answered from memory.
        env={**os.environ, "TWINSHELF_EMBEDDING_CACHE_COUNT": "0"},
    )


def _measure_all(
    options: argparse.Namespace,
    offers: Sequence[PerfOffer],
    addresses: Mapping[str, str],
    console: Console,
) -> list[Measurement]:
    with console.status("getting perf_analyzer …"):
        analyzer = find_perf_analyzer()
    measurements = []
    for model in options.models:
        data = options.output / f"{model}.json"
        write_input(data, model, offers)
        for concurrency in options.concurrency:
            measurements.append(
                _measure(analyzer, model, concurrency, addresses[model], data, console)
            )
    return measurements


def _measure(
    analyzer: PerfAnalyzer,
    model: str,
    concurrency: int,
    address: str,
    data: Path,
    console: Console,
) -> Measurement:
    with console.status(f"{model}, concurrency {concurrency} …"):
        return measure(
            analyzer,
            model=model,
            concurrency=concurrency,
            address=address,
            data=data,
            output=data.with_name(f"{model}_{concurrency}.csv"),
        )


def _store(address: str, offers: Sequence[PerfOffer]) -> None:
    """Stores the offers as products: a search of an empty catalogue would cost nothing."""
    products = (
        Product(product_id=f"{number}", title=offer.title, image=offer.image)
        for number, offer in enumerate(offers)
    )
    with Client(address) as client:
        for answer in client.upsert(products):
            if answer.error is not None:
                raise PerfError(f"a product was refused: {answer.error}")


def _listens(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(2)
        except grpc.FutureTimeoutError:
            return False
    return True


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"expected numbers such as 1,4,8, got {text!r}")
    return counts


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.perf",
        description="Load the encoders in Triton with perf_analyzer. A Triton is started when none "
        "listens; perf_analyzer is installed into .venv-perf when PATH has none.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--triton", metavar="HOST:PORT", help=f"Triton's gRPC address; default: {USUAL_TRITON}")
    add("--service", metavar="HOST:PORT", help=f"the service's; default: {USUAL_SERVICE}")
    add("--repository", type=Path, default=Path("model_repository"), help="what to start it with")
    add("--version", default="", help="version to start; the latest when left out")
    add("--products", type=Path, help="table with photos and titles; default: prepared offers")
    add("--models", nargs="+", default=list(TENSORS), choices=list(TENSORS), help="what to load")
    add("--concurrency", type=_counts, default=[1, 4, 8], help="requests under way at a time")
    add("--output", type=Path, default=Path("runs/perf"), help="folder of the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
