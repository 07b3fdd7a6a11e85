"""Measures this machine, and writes the plan by which Triton serves a version best on it.

    python -m tests.benchmarks.tune
    make triton ARGS='--plan runs/tune/plan.json'

From the plan by rule on, one thing at a time is changed - threads and instances of the towers,
processes that decode, the wait for company - and kept where offers with photo and title are
answered faster. Where the machine does other things as well, plans that differ little may change
places.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.benchmarks.perf import find_queries
from tests.benchmarks.perf_analyzer import PerfAnalyzer, PerfError, find_perf_analyzer, measure
from tests.benchmarks.perf_input import read_offers, write_input
from twinshelf.client.files.rows import ProductFileError
from twinshelf.server.triton.installation import TritonNotFoundError, find_triton
from twinshelf.server.triton.plan import ServingPlan, default_plan, has_gpu, usable_core_count
from twinshelf.server.triton.process import TritonServer, TritonStartError
from twinshelf.server.triton.repository import RepositoryError, check_version, newest_version
from twinshelf.server.triton.triton_config import TritonConfig
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table
from twinshelf.training.data.token_buckets import fit_buckets
from twinshelf.training.preprocessing.settings import PreprocessingSettings

MODEL = "product_encoder"
CONCURRENCIES = (1, 4, 16)
_REFUSALS = (
    PerfError,
    ProductFileError,
    RepositoryError,
    TritonNotFoundError,
    TritonStartError,
)
# Less is what two runs of one plan differ by.
LEAST_GAIN = 1.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What a plan reached.

    Attributes:
        plan: The plan.
        offers_per_s: At each of the concurrencies.
        p50_ms: Median latency at each.
        p99_ms: 99th percentile at each.
    """

    plan: ServingPlan
    offers_per_s: tuple[float, ...]
    p50_ms: tuple[float, ...]
    p99_ms: tuple[float, ...]

    @property
    def throughput(self) -> float:
        """Offers a second of as many callers as were tried at most."""
        return self.offers_per_s[-1]


def changes(core_count: int) -> Iterator[dict[str, int]]:
    """Yields what is changed of a plan, one thing at a time; the towers each fit the cores."""
    for tower in ("image", "text"):
        yield {f"{tower}_threads": 1, f"{tower}_instances": 1}
        threads = 1
        while threads <= core_count:
            yield {f"{tower}_threads": threads, f"{tower}_instances": core_count // threads}
            threads *= 2
    for count in sorted({1, max(1, core_count // 2), core_count, 2 * core_count}):
        yield {"decoder_instances": count}
    for delay_us in (0, 500, 2000):
        yield {"queue_delay_us": delay_us}


def recommend_buckets(repository: Path, version: int, table: Path) -> tuple[int, ...]:
    """Returns the token buckets that fit the texts of a table, by a version's tokenizer."""
    folder = repository / "text_preprocess" / str(version)
    settings = PreprocessingSettings.from_json((folder / "settings.json").read_text("utf-8"))
    products = [row for row in read_table(table) if isinstance(row, Product)]
    return fit_buckets(settings, folder / "tokenizer.json", products).token_buckets


class Tuner:
    """Measures plans on one version, each by a Triton of its own.

    Attributes:
        failures: Why plans were left out.
    """

    def __init__(
        self, repository: Path, version: int, analyzer: PerfAnalyzer, data: Path, output: Path
    ) -> None:
        """Takes what is measured, and where what was measured goes."""
        self._repository, self._version = repository, version
        self._analyzer, self._data, self._output = analyzer, data, output
        self._known: dict[ServingPlan, Curve] = {}
        self.failures: dict[ServingPlan, str] = {}

    def curve(self, plan: ServingPlan) -> Curve:
        """Returns what a plan reaches; measured once."""
        if plan not in self._known:
            config = TritonConfig(
                model_repository=self._repository, version=self._version, plan=plan
            )
            with TritonServer(config) as server:
                self._known[plan] = self._measure(plan, server.grpc_address)
        return self._known[plan]

    def measured(self) -> list[Curve]:
        """Returns all that was measured, in order."""
        return list(self._known.values())

    def tune(self, start: ServingPlan, core_count: int, plan_count: int) -> Curve:
        """Returns the best of so many plans at most; what helps is kept while the rest is tried.

        A plan that does not start, as for want of memory, or does not answer, is left out.
        """
        best = self.curve(start)
        for change in changes(core_count):
            if len(self._known) + len(self.failures) >= plan_count:
                break
            plan = replace(best.plan, **change)
            try:
                curve = self.curve(plan)
            except (PerfError, TritonStartError) as error:
                self.failures[plan] = str(error)
                continue
            if curve.throughput > LEAST_GAIN * best.throughput:
                best = curve
        return best

    def _measure(self, plan: ServingPlan, address: str) -> Curve:
        found = [
            measure(
                self._analyzer,
                model=MODEL,
                concurrency=concurrency,
                address=address,
                data=self._data,
                output=self._output / f"{MODEL}_{concurrency}.csv",
            )
            for concurrency in CONCURRENCIES
        ]
        return Curve(
            plan=plan,
            offers_per_s=tuple(each.throughput for each in found),
            p50_ms=tuple(each.p50_ms for each in found),
            p99_ms=tuple(each.p99_ms for each in found),
        )


def draw(curves: Sequence[Curve], best: Curve, path: Path) -> None:
    """Draws throughput against latency: the plan by rule, the best one, and all others in grey."""
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for curve in curves:
        is_rule, is_best = curve is curves[0], curve is best
        label = "best" if is_best else "by rule" if is_rule else None
        axes.plot(
            curve.offers_per_s,
            curve.p50_ms,
            marker="o",
            color="C2" if is_best else "C0" if is_rule else "0.8",
            zorder=3 if label else 1,
            label=label,
        )
    axes.set_xlabel("offers a second")
    axes.set_ylabel("p50, ms")
    axes.set_title(f"{', '.join(map(str, CONCURRENCIES))} callers at a time")
    axes.legend()
    figure.savefig(path)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tunes; returns 0 when a plan was written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--repository", type=Path, default=Path("model_repository"), help="the model repository")
    add("--version", type=int, help="version to tune; default: the newest")
    add("--products", type=Path, help="table with photos and titles; default: prepared offers")
    add("--plans", type=int, default=24, help="plans to try at most, half a minute each")
    add("--output", type=Path, default=Path("runs/tune"), help="folder of plan, curves and plot")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        version = options.version or newest_version(options.repository)
        products = options.products or find_queries(Path(".cache/data"))
        check_version(options.repository, version)
        # First, as it fails soon, if at all.
        buckets = recommend_buckets(options.repository, version, products)
        options.output.mkdir(parents=True, exist_ok=True)
        data = options.output / "offers.json"
        write_input(data, MODEL, read_offers(products))
        tuner = Tuner(options.repository, version, find_perf_analyzer(), data, options.output)
        cores = usable_core_count()
        is_on_gpu = has_gpu(find_triton().full_environment)
        best = tuner.tune(default_plan(cores, has_gpu=is_on_gpu), cores, options.plans)
    except (*_REFUSALS, ValueError, OSError) as error:
        console.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
        return 1
    curves = tuner.measured()
    print_curves(curves, best, console)
    for plan, reason in tuner.failures.items():
        console.print(f"left out: {plan}: {reason}", markup=False, soft_wrap=True)
    (options.output / "plan.json").write_text(best.plan.to_json(), "utf-8")
    figures = {"curves": list(map(asdict, curves)), "token_buckets": buckets}
    (options.output / "tune.json").write_text(json.dumps(figures, indent=1), "utf-8")
    draw(curves, best, options.output / "curve.png")
    gain = best.throughput / curves[0].throughput
    console.print(f"\nbest: {gain:.2f} times the plan by rule; {options.output / 'plan.json'}")
    console.print(f"make triton ARGS='--plan {options.output / 'plan.json'}'", markup=False)
    console.print(
        f"token buckets that fit these texts: {', '.join(map(str, buckets))}; an encoder has those "
        "that fit the texts it was trained on"
    )
    return 0


def print_curves(curves: Sequence[Curve], best: Curve, console: Console) -> None:
    """Prints what every plan reached; three numbers are those of 1, 4 and 16 callers."""
    table = Table("image", "text", "decoders", "wait µs", "offers/s", "p50 ms", "p99 ms", box=None)
    for curve in curves:
        plan = curve.plan
        table.add_row(
            f"{plan.image_instances}×{plan.image_threads}",
            f"{plan.text_instances}×{plan.text_threads}",
            str(plan.decoder_instances),
            str(plan.queue_delay_us),
            *(
                " ".join(f"{value:.0f}" for value in values)
                for values in (curve.offers_per_s, curve.p50_ms, curve.p99_ms)
            ),
            style="bold" if curve is best else "",
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
