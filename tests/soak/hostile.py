"""Hostile clients beside a well-behaved caller: its latency, the service's memory, health after.

python -m tests.soak.hostile
python -m tests.soak.hostile --attacks bombs malformed --seconds 5

Each attack meets a Triton and a service just started: memory once taken is not given back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.soak import frames, offers, report
from tests.soak.attacks import ATTACKS
from tests.soak.deployment import PROJECT, Deployment, is_serving
from tests.soak.load import CODE_NAMES, MATCH, OK, ask, connections
from tests.soak.memory import MemoryPeak
from tests.soak.options import add_options, deployment_of

HIGHEST_MEMORY_MIB, HIGHEST_RATIO = 1500 * 1000 * 1000 / 2**20, 3.0
LONG_COUNT: Final = 1000
PAUSE_S: Final = 0.03
TIMEOUT_S: Final = 10.0
COLUMNS = ("attack", "peak MiB", "p50 ms", "p99 ms", "x alone", "failed", "health", "CPU")


@dataclass(slots=True)
class Calls:
    """What the well-behaved caller saw; a call that failed counts as its whole time-out."""

    latencies_s: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)

    def add(self, code: int, latency_s: float) -> None:
        """Takes the end of a call."""
        if code != OK:
            name = CODE_NAMES[code]
            self.failures[name] = self.failures.get(name, 0) + 1
        self.latencies_s.append(latency_s if code == OK else TIMEOUT_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Attacks; returns 0 when every mark was reached."""
    options = _parser().parse_args(arguments)
    with deployment_of(options, "hostile") as started:
        offers.store_gallery(started.address)
        offers.store_long_descriptions(started.address, options.long_count)
        rows = {"alone": one(started, (), options.seconds)}
        sets = {name: (name,) for name in options.attacks}
        if len(sets) > 1:
            sets["all together"] = tuple(options.attacks)
        for name, names in sets.items():
            rows[name] = one(started, names, options.seconds)
            report.say(f"{name}: {json.dumps(rows[name])}")
    report.say(as_table(rows))
    failures = failed(rows)
    report.say("\n".join(failures) or "every mark is reached")
    document = {"checkout": str(options.checkout), "attacks": rows, "failures": failures}
    report.say(f"saved in {report.save(options.output, 'hostile', document)}")
    return 1 if failures else 0


def one(started: Deployment, names: Sequence[str], duration_s: float) -> dict[str, Any]:
    """Runs attacks beside the well-behaved caller, against a fresh service and Triton."""
    # What an attack leaves in Triton's queues would be blamed on the next.
    started.stop()
    started.start_triton()
    started.start_service()
    asyncio.run(behave(started.address, 2.0))
    with MemoryPeak(started.service) as memory:
        attackers = _start_attack(started.address, names, duration_s) if names else None
        calls = asyncio.run(behave(started.address, duration_s))
        codes, cpu_share = _end_attack(attackers)
    return {
        "peak_mib": memory.peak_mib,
        "call_count": len(calls.latencies_s),
        "p50_ms": report.quantile_ms(calls.latencies_s, 0.5),
        "p99_ms": report.quantile_ms(calls.latencies_s, 0.99),
        "failures": calls.failures,
        "is_serving_after": is_serving(started.address, 5.0),
        "attack_codes": codes,
        "attack_cpu_share": cpu_share,
    }


async def behave(address: str, duration_s: float) -> Calls:
    """Matches text, photo and both in turn, one after the other, with pauses between."""
    bodies = [
        frames.message(body)
        for bodies in zip(*(offers.requests_of(kind, 50) for kind in offers.KINDS), strict=True)
        for body in bodies
    ]
    headers = frames.header_block(MATCH, address, timeout_ms=round(TIMEOUT_S * 1000))
    calls, end_s, number = Calls(), time.monotonic() + duration_s, 0
    async with connections(address, 1) as (connection,):
        while time.monotonic() < end_s:
            start_s = time.monotonic()
            code = await ask(connection, headers, bodies[number % len(bodies)], TIMEOUT_S)
            calls.add(code, time.monotonic() - start_s)
            number += 1
            await asyncio.sleep(PAUSE_S)
    return calls


def as_table(rows: dict[str, dict[str, Any]]) -> str:
    """Returns the figures as a table."""
    alone_ms = rows["alone"]["p99_ms"]
    cells = [
        (
            name,
            row["peak_mib"],
            row["p50_ms"],
            row["p99_ms"],
            row["p99_ms"] / alone_ms,
            sum(row["failures"].values()),
            row["is_serving_after"],
            f"{row['attack_cpu_share']:.0%}",
        )
        for name, row in rows.items()
    ]
    return report.table("beside hostile clients", COLUMNS, cells)


def failed(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Returns a sentence for each mark that was missed."""
    said = []
    alone_ms = rows["alone"]["p99_ms"]
    for name, row in rows.items():
        if row["peak_mib"] > HIGHEST_MEMORY_MIB:
            said.append(f"{name}: the service takes {row['peak_mib']:.0f} MiB")
        if row["p99_ms"] > HIGHEST_RATIO * alone_ms:
            said.append(f"{name}: p99 is {row['p99_ms'] / alone_ms:.1f} times that of alone")
        if row["failures"]:
            said.append(f"{name}: calls of the well-behaved failed: {row['failures']}")
        if not row["is_serving_after"]:
            said.append(f"{name}: health does not say SERVING afterwards")
    return said


def _start_attack(address: str, names: Sequence[str], duration_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.soak.attacks", address, *names]
    command += ["--seconds", str(duration_s)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def _end_attack(attackers: subprocess.Popen[str] | None) -> tuple[dict[str, Any], float]:
    if attackers is None:
        return {}, 0.0
    try:
        output, _ = attackers.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        attackers.kill()
        attackers.communicate()
        return {"the attackers": {"did not end": 1}}, 0.0
    told = json.loads(output or '{"codes": {"the attackers": {"failed": 1}}, "cpu_share": 0}')
    return told["codes"], told["cpu_share"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.hostile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each attack")
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    parser.add_argument(
        "--long-count", type=int, default=LONG_COUNT, help="products with descriptions of 60 KB"
    )
    add_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
