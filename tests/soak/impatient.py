"""Callers with deadlines of 1-100 ms and random cancellations: Triton lives, memory stays flat.

python -m tests.soak.impatient
python -m tests.soak.impatient --count 5000
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from tests.soak import frames, offers, report
from tests.soak.attacks import MATCH_STREAM
from tests.soak.broken_offers import stream_request
from tests.soak.deployment import Deployment
from tests.soak.load import CODE_NAMES, MATCH, OK, ask, connections
from tests.soak.memory import resident_mib
from tests.soak.options import add_options, deployment_of
from tests.soak.wire import WireConnection

COUNT: Final = 100_000
CALLER_COUNT: Final = 64
WARM_SHARE: Final = 0.1
STREAM_SHARE, CANCELLED_SHARE = 0.2, 0.3
SHORTEST_MS, LONGEST_MS = 1, 100
PATIENCE_S, SETTLE_S = 15.0, 2.0
FLAT_MIB, FLAT_SHARE = 50.0, 0.1
LEFT_OPEN: Final = "LEFT"
# How a call that is in order may end when its time is short.
FAIR_CODES: Final = {"OK", LEFT_OPEN, "DEADLINE_EXCEEDED", "CANCELLED", "RESOURCE_EXHAUSTED"}


@dataclass(slots=True)
class Counts:
    """Calls begun and how they ended; `LEFT` are those that the caller gave up."""

    begun: int = 0
    codes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """What is sent: messages of single calls, and of streams."""

    unary: list[bytes]
    stream: list[bytes]


def main(arguments: Sequence[str] | None = None) -> int:
    """Hurries; returns 0 when every mark was reached."""
    options = _parser().parse_args(arguments)
    with deployment_of(options, "impatient") as started:
        offers.store_gallery(started.address)
        result = run(started, options.count)
        started.stop_service()
        stop = started.stop_triton()
    result["stop_s"], result["is_clean_stop"] = stop.seconds, stop.is_clean
    result["stop_reason"] = stop.reason
    rows = [(name, str(value)) for name, value in result.items()]
    report.say(report.table("impatient callers", ("what", "figure"), rows))
    failures = failed(result)
    report.say("\n".join(failures) or "every mark is reached")
    document = {"checkout": str(options.checkout), **result, "failures": failures}
    report.say(f"saved in {report.save(options.output, 'impatient', document)}")
    return 1 if failures else 0


def run(started: Deployment, count: int) -> dict[str, Any]:
    """Sends calls, a tenth of them before the memory is looked at; then asks patiently."""
    server, service = started.tritonserver, started.service
    bodies = draw_bodies()
    counts, start_s = Counts(), time.monotonic()
    asyncio.run(hurry(started, bodies, counts, round(count * WARM_SHARE), seed=0))
    time.sleep(SETTLE_S)
    before = {"service_mib": resident_mib(service), "triton_mib": _triton_mib(server)}
    asyncio.run(hurry(started, bodies, counts, count, seed=1))
    seconds = time.monotonic() - start_s
    patient = asyncio.run(ask_patiently(started.address, bodies.unary[:9]))
    pending = _settled_pending(started)
    time.sleep(SETTLE_S)
    return {
        "calls": counts.begun,
        "calls_per_s": round(counts.begun / seconds, 1),
        "codes": dict(counts.codes),
        "is_same_triton": server is not None and started.tritonserver == server,
        "is_same_service": service is not None and service.is_running(),
        "patient_codes": dict(patient),
        "pending_inferences": pending,
        "before": before,
        "after": {"service_mib": resident_mib(service), "triton_mib": _triton_mib(server)},
    }


def draw_bodies(count: int = 60) -> Bodies:
    """Returns texts for the most part, photos, and both."""
    kinds: list[offers.Kind] = ["texts", "texts", "texts", "photos", "both"]
    mixed = [body for kind in kinds for body in offers.requests_of(kind, count)]
    random.Random(5).shuffle(mixed)
    return Bodies(
        unary=[frames.message(body) for body in mixed],
        stream=[frames.message(stream_request(str(n), body)) for n, body in enumerate(mixed)],
    )


async def hurry(started: Deployment, bodies: Bodies, counts: Counts, count: int, seed: int) -> None:
    """Keeps 64 calls open until so many were begun, or Triton or the service has died."""
    server = started.tritonserver
    async with connections(started.address, 16) as opened:
        callers = [
            asyncio.ensure_future(
                _caller(opened[n % 16], bodies, counts, count, random.Random(f"{seed} {n}"))
            )
            for n in range(CALLER_COUNT)
        ]
        while not all(caller.done() for caller in callers):
            await asyncio.sleep(0.5)
            if server is None or not server.is_running() or opened[0].closed.done():
                break
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def ask_patiently(address: str, bodies: Sequence[bytes]) -> Counter[str]:
    """Returns the codes of calls with all the time they need, one after the other."""
    headers = frames.header_block(MATCH, address, timeout_ms=round(PATIENCE_S * 1000))
    codes: Counter[str] = Counter()
    async with connections(address, 1) as (connection,):
        for body in bodies:
            code = await ask(connection, headers, body, PATIENCE_S)
            codes[CODE_NAMES[code]] += 1
            if code != OK:
                break
    return codes


def failed(result: dict[str, Any]) -> list[str]:
    """Returns a sentence for each mark that was missed."""
    said = []
    if not result["is_same_triton"]:
        said.append(f"Triton died within {result['calls']} calls")
    if strange := set(result["codes"]) - FAIR_CODES:
        said.append(f"calls that are in order ended as {', '.join(sorted(strange))}")
    if not result["is_same_service"]:
        said.append("the service died")
    if set(result["patient_codes"]) != {"OK"}:
        said.append(f"patient calls afterwards end as {result['patient_codes']}")
    if result["pending_inferences"] != 0:
        said.append(f"{result['pending_inferences']} inferences are left in Triton")
    for name, before in result["before"].items():
        after = result["after"][name]
        if after - before > max(FLAT_MIB, FLAT_SHARE * before):
            said.append(f"{name} grew from {before:.0f} to {after:.0f}")
    if not result["is_clean_stop"]:
        said.append(f"no clean stop ({result['stop_s']} s; {result['stop_reason']})")
    return said


async def _caller(
    connection: WireConnection, bodies: Bodies, counts: Counts, count: int, chance: random.Random
) -> None:
    """Begins calls until enough were begun, each with a short deadline or cancelled soon."""
    authority = "127.0.0.1"
    while counts.begun < count:
        counts.begun += 1
        wait_ms = chance.randint(SHORTEST_MS, LONGEST_MS)
        is_cancelled = chance.random() < CANCELLED_SHARE
        is_stream = chance.random() < STREAM_SHARE
        if is_stream:
            body = b"".join(chance.choices(bodies.stream, k=chance.randint(1, 8)))
        else:
            body = chance.choice(bodies.unary)
        # A caller that cancels says nothing of a deadline beforehand.
        told_ms = None if is_cancelled else wait_ms
        headers = frames.header_block(MATCH_STREAM if is_stream else MATCH, authority, told_ms)
        ended: asyncio.Event = asyncio.Event()

        def settle(call: object, code: int, ended: asyncio.Event = ended) -> None:
            counts.codes[CODE_NAMES[code]] += 1
            ended.set()

        call = connection.start(headers, body, settle)
        try:
            await asyncio.wait_for(ended.wait(), wait_ms / 1000)
        except TimeoutError:
            if connection.cancel(call):
                counts.codes[LEFT_OPEN] += 1
        # What is refused at once is asked again after a moment, as callers do.
        await asyncio.sleep(chance.uniform(0, 0.01))


def _settled_pending(started: Deployment) -> int | None:
    """Returns Triton's waiting inferences, once there are none or patience ends."""
    end_s = time.monotonic() + PATIENCE_S
    while (pending := started.pending_inferences()) != 0 and time.monotonic() < end_s:
        time.sleep(0.2)
    return pending


def _triton_mib(server: psutil.Process | None) -> float:
    if server is None or not server.is_running():
        return 0.0
    return resident_mib(server, *server.children(recursive=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.impatient", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="calls")
    add_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
