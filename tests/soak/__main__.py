"""Runs every load and fault at full size and writes runs/soak/report.md.

python -m tests.soak
python -m tests.soak --quick

It takes about an hour and should have the machine to itself.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console

from tests.soak import bad_offers, faults, hostile, impatient, overload
from tests.soak.catalogue import __main__ as catalogue
from tests.soak.options import add_options

Tool = Callable[[Sequence[str]], int]
TOOLS: Final[dict[str, Tool]] = {
    "bad offers": bad_offers.main,
    "impatient callers": impatient.main,
    "overload": overload.main,
    "hostile clients": hostile.main,
    "faults": faults.main,
    "catalogue": catalogue.main,
}
# Long enough to see that all of it works, too short for figures.
QUICK: Final[dict[str, tuple[str, ...]]] = {
    "bad offers": ("--count", "400"),
    "impatient callers": ("--count", "5000"),
    "overload": ("--seconds", "2"),
    "hostile clients": ("--seconds", "3"),
    "faults": ("--faults", "freeze-triton", "kill-triton", "kill-service"),
    "catalogue": ("--kills", "5", "--cuts", "5", "--flips", "30", "--products", "3000"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the tools one after the other; returns 0 when every mark was reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, for a look")
    add_options(parser)
    options = parser.parse_args(arguments)
    passed_on = _passed_on(options)
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    parts = [f"# Soak, {now} UTC, {os.cpu_count()} cores, code of {options.checkout.name}\n"]
    statuses = []
    for name, tool in TOOLS.items():
        size = QUICK[name] if options.quick else ()
        start_s = time.monotonic()
        status, said = _run(tool, [*size, *passed_on])
        statuses.append(status)
        seconds = time.monotonic() - start_s
        verdict = "every mark reached" if status == 0 else "MARKS MISSED"
        parts.append(f"## {name}: {verdict}, {seconds:.0f} s\n\n```\n{said.rstrip()}\n```\n")
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "report.md").write_text("\n".join(parts), "utf-8")
    Console().print(f"saved in {options.output / 'report.md'}")
    return max(statuses)


def _run(tool: Tool, arguments: Sequence[str]) -> tuple[int, str]:
    """Returns the status of a tool and what it printed, which is printed too."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = tool(arguments)
    Console(highlight=False, markup=False).print(said.getvalue())
    return status, said.getvalue()


def _passed_on(options: argparse.Namespace) -> list[str]:
    passed = ["--checkout", str(options.checkout), "--output", str(options.output)]
    passed += ["--repository", str(options.repository)] if options.repository else []
    passed += ["--version", str(options.version)] if options.version else []
    return passed + [f"--service-argument={each}" for each in options.service_argument]


if __name__ == "__main__":
    sys.exit(main())
