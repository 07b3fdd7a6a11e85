"""Fuzzes at full size: `python -m tests.fuzz`; `--photos 0`, `--texts 0`, `--calls 0` leave out.

Calls go to a Triton and a service that are started for it, or to those that `--triton HOST:PORT`
and `--service HOST:PORT` name. The service must be one that nobody needs: calls write to and delete
from its catalogue.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.deployed import SERVICE, TRITON, fuzz_deployment
from tests.fuzz.service_calls import fuzz_service
from tests.fuzz.tally import CallTally
from tests.fuzz.triton_calls import fuzz_triton
from tests.fuzz.workers import Findings, fuzz


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the arguments ask for; 1 when anything was found that must not happen."""
    options = _parser().parse_args(arguments)
    failure_count = 0
    for subject, count in (("photos", options.photos), ("texts", options.texts)):
        if count:
            found = fuzz(
                subject, options.seed, count, options.processes, options.seconds, options.keep
            )
            failure_count += _print_findings(subject, found)
    if options.calls:
        for target, tally in _call(options).items():
            failure_count += _print_tally(target, tally)
    return 1 if failure_count else 0


def _call(options: argparse.Namespace) -> dict[str, CallTally]:
    size = (options.seed, options.calls, options.seconds)
    if not (options.triton or options.service):
        return fuzz_deployment(options.keep / "deployment", *size)
    tallies = {}
    if options.triton:
        tallies[TRITON] = fuzz_triton(options.triton, *size)
    if options.service:
        tallies[SERVICE] = fuzz_service(options.service, *size)
    return tallies


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--photos", type=int, default=500_000, help="mutated photos to decode")
    parser.add_argument("--texts", type=int, default=500_000, help="generated texts to tokenise")
    parser.add_argument("--triton", metavar="HOST:PORT", help="Triton's gRPC")
    parser.add_argument("--service", metavar="HOST:PORT", help="a service without TLS and keys")
    parser.add_argument("--calls", type=int, default=100_000, help="calls to each of the two")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600, help="limit of each part")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--keep", type=Path, default=Path("runs/fuzz"), help="folder for inputs worth a look"
    )
    return parser


def _print_findings(subject: str, found: Findings) -> int:
    _print(f"{found.count:,} {subject}; {len(found.failures)} failures")
    for answer, count in found.answers.most_common(20):
        _print(f"  {count:9,}  {answer}")
    _print(
        f"  slowest: {1e3 * found.slowest_s:.0f} ms of one core, number {found.slowest_number}; "
        f"memory grew by {found.growth_mb:.0f} MB"
    )
    return _print_failures(found.failures)


def _print_tally(target: str, tally: CallTally) -> int:
    _print(f"{sum(tally.answers.values()):,} calls to {target}; {len(tally.failures)} failures")
    for answer, count in sorted(tally.answers.items()):
        _print(f"  {count:9,}  {answer}")
    return _print_failures(tally.failures)


def _print_failures(failures: list[tuple[int, str]]) -> int:
    for number, what in failures[:20]:
        _print(f"  FAILED {number}: {what}")
    return len(failures)


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
