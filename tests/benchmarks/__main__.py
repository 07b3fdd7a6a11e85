"""Runs all benchmarks that compare us with something, one after the other.

python -m tests.benchmarks
python -m tests.benchmarks --run runs/bench --repository .cache/bench/models
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Which of --run, --repository and --versions each takes.
BENCHMARKS = {
    "preprocessing": ("run",),
    "towers": ("run", "repository", "versions"),
    "end_to_end": ("run", "repository", "versions"),
    "ingest": ("repository",),
    "index": (),
    "filtered_search": (),
    "training_speed": (),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs each in a process of its own; returns how many failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="All benchmarks: half an hour on two cores. Each is also a command of its own: "
        + ", ".join(f"python -m tests.benchmarks.{name}" for name in BENCHMARKS),
    )
    add = parser.add_argument
    add("--run", type=Path, default=Path("runs/generated"), help="encoder (default: %(default)s)")
    add("--repository", type=Path, default=Path("model_repository"), help="where it is published")
    add("--versions", type=int, nargs="+", help="versions, the last with fp32 towers")
    options = parser.parse_args(arguments)
    if not (options.run / "weights.safetensors").is_file():
        sys.stderr.write(f"error: no trained encoder in {options.run}: `make demo` leaves one\n")
        return 1
    failed = []
    for name, wanted in BENCHMARKS.items():
        command = [sys.executable, "-m", f"tests.benchmarks.{name}"]
        for each in wanted:
            value = getattr(options, each)
            if value is not None:
                command += [f"--{each}", *map(str, value if isinstance(value, list) else [value])]
        start_s = time.monotonic()
        sys.stdout.write(f"\n── {' '.join(command[2:])}\n")
        sys.stdout.flush()
        if subprocess.call(command) != 0:
            failed.append(name)
        sys.stdout.write(f"{name}: {time.monotonic() - start_s:.0f} s\n")
    if failed:
        sys.stderr.write(f"error: failed: {', '.join(failed)}\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
