"""How large and how flat `training/` is, and how soon each command answers; of any checkout.

python -m tests.benchmarks.house
python -m tests.benchmarks.house --checkout OTHER_CLONE     # of before, made ready by `make setup`
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

# What makes photos and texts into embeddings and learns to: the encoder's core.
CORE = ("model", "losses", "loop", "data")
COMMANDS = (
    "training.train",
    "training.evaluation",
    "training.catalogues.prepare",
    "training.categories",
    "training.grouping",
    "training.pairs.train_pairs",
    "export",
    "server",
    "server.triton",
    "client.cli",
)
ROUNDS = 3


def count_lines(files: Sequence[Path]) -> int:
    """Returns the lines of some files together."""
    return sum(len(path.read_bytes().splitlines()) for path in files)


def measure_training(folder: Path) -> dict[str, str]:
    """Returns the figures of the folder `training`, by what they are of."""
    files = [path for path in sorted(folder.rglob("*.py")) if not path.name.startswith("test_")]
    root = [path for path in files if path.parent == folder]
    core = [path for path in files if path.relative_to(folder).parts[0] in CORE]
    names = Counter(path.name for path in files if not path.stem.startswith("__"))
    shared = sorted(name for name, count in names.items() if count > 1)
    return {
        "lines, files": f"{count_lines(files):,} in {len(files)}",
        "lines of the core and of the root": f"{count_lines(core + root):,}",
        "modules in the root": str(len([path for path in root if path.stem != "__init__"])),
        "names of files in several rooms": f"{len(shared)} {' '.join(shared)}".strip(),
    }


def time_help(checkout: Path, command: str) -> str:
    """Returns how long a command takes for `--help`, the middle of some rounds; or why not."""
    prefix = "twinshelf." if (checkout / "protos" / "twinshelf").is_dir() else ""
    python = checkout / ".venv" / "bin" / "python"
    times_s = []
    for _ in range(ROUNDS):
        start_s = time.perf_counter()
        asked = [str(python), "-m", prefix + command, "--help"]
        run = subprocess.run(asked, cwd=checkout, capture_output=True, text=True)
        if run.returncode:
            return (run.stderr.strip().splitlines() or ["failed"])[-1]
        times_s.append(time.perf_counter() - start_s)
    return f"{sorted(times_s)[ROUNDS // 2]:.2f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table; returns 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkout", type=Path, default=Path(), help="default: this one")
    checkout = parser.parse_args(arguments).checkout.absolute()
    table = Table("of", "figure", title="training/, and --help")
    for name, figure in measure_training(checkout / "training").items():
        table.add_row(name, figure)
    for command in COMMANDS:
        table.add_row(f"{command} --help", time_help(checkout, command))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
