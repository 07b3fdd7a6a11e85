"""Open-loop load below and far above the peak: goodput, refusals and recovery of the service.

python -m tests.soak.overload
python -m tests.soak.overload --address 127.0.0.1:50051 --seconds 10

Each arrival has a deadline of 1 s and goes at its deadline, as every gRPC client does. Plain stubs
send all; our clients refuse some themselves (`client/throttle.py`). The generator shares the cores
with what it loads; its own share is measured and reported.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tests.soak import frames, load, offers, report
from tests.soak.options import add_options, deployment_of
from twinshelf.client.throttle import Throttle

LOADS = (0.7, 1.0, 1.2, 3.0, 10.0)
CLOSED_LOOPS = (16, 64)
CLIENT_COUNT = 16  # ours, each with a throttle of its own
CALLERS = ("stubs", "clients")
LEAST_GOODPUT, LONGEST_REFUSAL_MS, LONGEST_RECOVERY_MS = 0.9, 50.0, 1000.0
HIGHEST_RATE_PER_S = 20_000
COLUMNS = (
    "load",
    "by",
    "sent/s",
    "good/s",
    "peak",
    "p50",
    "p99",
    "refused",
    "p99",
    "late",
    "back",
    "CPU",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 0 when every mark was reached."""
    options = _parser().parse_args(arguments)
    with ExitStack() as stack:
        address = options.address
        if address is None:
            started = stack.enter_context(deployment_of(options, "overload"))
            address = started.address
            offers.store_gallery(address)
        results = {
            kind: asyncio.run(
                measure(address, kind, options.seconds, options.loads, options.callers)
            )
            for kind in options.kinds
        }
    for kind, result in results.items():
        report.say(as_table(kind, result))
    failures = [text for kind, result in results.items() for text in failed(kind, result)]
    report.say("\n".join(failures) or "every mark is reached")
    document = {"checkout": str(options.checkout), "kinds": results, "failures": failures}
    report.say(f"saved in {report.save(options.output, options.name, document)}")
    return 1 if failures else 0


async def measure(
    address: str,
    kind: offers.Kind,
    duration_s: float,
    loads: Sequence[float] = LOADS,
    callers: Sequence[str] = CALLERS,
) -> dict[str, Any]:
    """Finds the peak by closed loops, then loads the service by multiples of it.

    The machine may become slower or faster meanwhile: the peak is measured again after each load,
    which is held against the mean of the two around it.
    """
    bodies = [frames.message(each) for each in offers.requests_of(kind)]

    async def answered_per_s(caller_count: int) -> float:
        outcomes = await load.closed_loop(
            address, bodies, caller_count=caller_count, duration_s=peak_s
        )
        return outcomes.goodput_per_s(peak_s)

    peak_s = duration_s / 2
    await load.closed_loop(address, bodies, caller_count=4, duration_s=min(2.0, duration_s))
    closed = {count: await answered_per_s(count) for count in CLOSED_LOOPS}
    best = max(CLOSED_LOOPS, key=closed.__getitem__)
    alone = await load.closed_loop(address, bodies, caller_count=1, duration_s=min(2, duration_s))
    normal_s = (report.quantile_ms(alone.good_latencies_s, 0.5) or 1000.0) / 1000
    points = []
    peaks = [await answered_per_s(best)]
    for multiple, caller in itertools.product(loads, callers):
        chance = random.Random(round(multiple * 10))
        outcomes = await load.open_loop(
            address,
            bodies,
            rate_per_s=min(multiple * peaks[-1], HIGHEST_RATE_PER_S),
            duration_s=duration_s,
            throttles=[Throttle(chance) for _ in range(CLIENT_COUNT if caller == "clients" else 0)],
            seed=round(multiple * 10),
        )
        recovery_s = await load.probe(address, bodies[0], normal_s=normal_s)
        await asyncio.sleep(1.0)
        peaks.append(await answered_per_s(best))
        around = sum(peaks[-2:]) / 2
        point = {
            "multiple": multiple,
            "callers": caller,
            **outcomes.as_document(duration_s),
            "peak_per_s": around,
            "share_of_peak": round(outcomes.goodput_per_s(duration_s) / around, 3),
            "recovery_ms": None if recovery_s is None else round(recovery_s * 1000, 1),
        }
        points.append(point)
    return {"normal_ms": normal_s * 1000, "closed": closed, "points": points}


def as_table(kind: str, result: dict[str, Any]) -> str:
    """Returns the figures of one kind of offer as a table."""
    rows = []
    for point in result["points"]:
        codes = dict(point["codes"])
        refused = sum(n for code, n in codes.items() if code not in ("OK", "DEADLINE_EXCEEDED"))
        rows.append(
            (
                f"{point['multiple']:g}x",
                point["callers"],
                round(point["offered_per_s"]),
                round(point["goodput_per_s"]),
                f"{point['share_of_peak']:.0%}",
                point["answer_p50_ms"],
                point["answer_p99_ms"],
                refused,
                point["refusal_p99_ms"],
                codes.get("DEADLINE_EXCEEDED", 0),
                point["recovery_ms"],
                f"{point['generator_cpu_share']:.0%}",
            )
        )
    peaks = [point["peak_per_s"] for point in result["points"]]
    told = f"{min(peaks):.0f} to {max(peaks):.0f}/s" if peaks else "-"
    title = f"{kind}: peak {told}, alone {result['normal_ms']:.1f} ms"
    return report.table(title, COLUMNS, rows)


def failed(kind: str, result: dict[str, Any]) -> list[str]:
    """Returns a sentence for each mark that was missed."""
    said = []
    for point in result["points"]:
        where = f"{kind} at {point['multiple']:g}x by {point['callers']}"
        if point["multiple"] >= 1 and point["share_of_peak"] < LEAST_GOODPUT:
            said.append(f"{where}: goodput is {point['share_of_peak']:.0%} of the peak")
        if (point["refusal_p99_ms"] or 0) > LONGEST_REFUSAL_MS:
            said.append(f"{where}: refusals take up to {point['refusal_p99_ms']:.0f} ms (p99)")
        if point["recovery_ms"] is None or point["recovery_ms"] > LONGEST_RECOVERY_MS:
            said.append(f"{where}: recovery takes {point['recovery_ms']} ms")
    return said


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.overload", description=__doc__)
    parser.add_argument("--address", help="host:port of a running service [starts one]")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each load")
    parser.add_argument("--kinds", nargs="+", choices=offers.KINDS, default=list(offers.KINDS))
    parser.add_argument("--loads", nargs="+", type=float, default=LOADS, help="multiples of peak")
    parser.add_argument("--callers", nargs="+", choices=CALLERS, default=CALLERS)
    parser.add_argument("--name", default="overload", help="name of the report")
    add_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
