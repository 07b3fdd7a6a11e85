"""Offers half of which are broken, to Triton and to the service: nothing hangs, nothing is lost.

python -m tests.soak.bad_offers
python -m tests.soak.bad_offers --count 400 --routes unary

Every route meets a Triton just started and must leave one that answers and stops cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from tests.soak import kserve_calls, match_calls, offers, report
from tests.soak.deployment import Deployment
from tests.soak.options import add_options, deployment_of
from tests.soak.tally import Tally

COUNT: Final = 10_000
CONCURRENCIES: Final = (1, 4, 16, 64)
ROUTES: Final = ("triton", "triton-batches", "unary", "stream")
LONGEST_STOP_S: Final = 10.0
COLUMNS = ("route", "callers", "good", "refused", "odd", "shed", "lost", "wrong", "p99 ms")


def main(arguments: Sequence[str] | None = None) -> int:
    """Sends them; returns 0 when every call ended as it should."""
    options = _parser().parse_args(arguments)
    results = {}
    for route in options.routes:
        with deployment_of(options, "bad_offers") as started:
            results[route] = run_route(started, route, options.count, options.concurrencies)
    report.say(as_table(results))
    failures = failed(results)
    report.say("\n".join(failures) or "every call ended as it should")
    document = {"checkout": str(options.checkout), "routes": results, "failures": failures}
    report.say(f"saved in {report.save(options.output, 'bad_offers', document)}")
    return 1 if failures else 0


def run_route(
    started: Deployment, route: str, count: int, concurrencies: Sequence[int]
) -> dict[str, Any]:
    """Sends offers by one route, then stops the deployment; returns what became of both."""
    offers.store_gallery(started.address)
    before = started.tritonserver
    loads = send(started, route, count, concurrencies)
    after = started.tritonserver
    models = kserve_calls.answering_models(started.triton_address)
    started.stop_service()
    stop = started.stop_triton()
    return {
        "loads": loads,
        "is_same_triton": after is not None and before == after,
        "answering_models": models,
        "stop_s": stop.seconds,
        "is_clean_stop": stop.is_clean and stop.seconds < LONGEST_STOP_S,
        "stop_reason": stop.reason,
    }


def send(
    started: Deployment, route: str, count: int, concurrencies: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """Sends offers by one route at each concurrency; ends when calls are lost."""
    loads = {}
    for place, concurrency in enumerate(concurrencies):
        start_s = time.monotonic()
        tally = _run(started, route, count // len(concurrencies), concurrency, seed=place)
        loads[concurrency] = {**tally.as_document(), "is_flawless": tally.is_flawless}
        loads[concurrency]["seconds"] = round(time.monotonic() - start_s, 1)
        if tally.lost_count:
            break
    return loads


def as_table(results: dict[str, dict[str, Any]]) -> str:
    """Returns the counts as a table."""
    rows = []
    for route, result in results.items():
        for concurrency, counts in result["loads"].items():
            refused = sum(counts["refused"].values())
            told = [counts[name] for name in ("odd", "shed", "lost", "wrong", "p99_ms")]
            rows.append((route, concurrency, counts["good"], refused, *told))
    return report.table("offers, half of them broken", COLUMNS, rows)


def failed(results: dict[str, dict[str, Any]]) -> list[str]:
    """Returns a sentence for each mark that was missed."""
    said = []
    for route, result in results.items():
        for concurrency, counts in result["loads"].items():
            if not counts["is_flawless"]:
                reasons = "; ".join(dict.fromkeys(counts["reasons"][:8]))
                said.append(f"{route}, {concurrency} callers: {reasons or 'too many were shed'}")
        if not result["is_same_triton"]:
            said.append(f"{route}: Triton died")
        if silent := [
            model for model, answers in result["answering_models"].items() if not answers
        ]:
            said.append(f"{route}: {', '.join(silent)} do not answer afterwards")
        if not result["is_clean_stop"]:
            said.append(f"{route}: no clean stop ({result['stop_s']} s; {result['stop_reason']})")
    return said


def _run(started: Deployment, route: str, count: int, concurrency: int, seed: int) -> Tally:
    if route.startswith("triton"):
        calls = kserve_calls.KserveCalls(started.triton_address, seed=seed)
        drawn = calls.draw(count, in_batches=route == "triton-batches")
        return kserve_calls.run(started.triton_address, drawn, concurrency)
    matches = asyncio.run(match_calls.draw(started.address, count, seed=seed))
    run = match_calls.run_unary if route == "unary" else match_calls.run_streams
    return asyncio.run(run(started.address, matches, concurrency))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.bad_offers", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="offers by each route")
    parser.add_argument("--routes", nargs="+", choices=ROUTES, default=list(ROUTES))
    parser.add_argument("--concurrencies", nargs="+", type=int, default=list(CONCURRENCIES))
    add_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
