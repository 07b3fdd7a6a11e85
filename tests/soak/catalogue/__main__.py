"""Kills writers, cuts the power, flips bytes and replaces everything; nothing may be lost or wrong.

python -m tests.soak.catalogue
python -m tests.soak.catalogue --trials flips --flips 100
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.soak import report
from tests.soak.catalogue.flips import flip_bytes
from tests.soak.catalogue.power_cut import (
    Disk,
    build_watcher,
    read_steps,
    watched_environment,
)
from tests.soak.catalogue.promises import Promises
from tests.soak.catalogue.turnover import turn_over
from tests.soak.options import OUTPUT

SNAPSHOT_EVERY: Final = 5
LONGEST_LIFE_S: Final = 1.5
WATCHED_LIFE_S: Final = 6.0
START_TIMEOUT_S: Final = 60.0
Figures = dict[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the trials; returns 0 when no promise was broken."""
    options, _ = _parser().parse_known_args(arguments)
    trials: dict[str, Callable[[Path], Figures]] = {
        "kills": lambda folder: kill_writers(folder, options.kills, options.seed),
        "power": lambda folder: cut_power(folder, options.cuts, options.seed),
        "flips": lambda folder: asyncio.run(flip_bytes(folder, options.flips, options.seed)),
        "turnover": lambda folder: asyncio.run(turn_over(folder, options.products)),
    }
    found = {}
    for name in options.trials:
        with tempfile.TemporaryDirectory(prefix="twinshelf-soak-") as folder:
            start_s = time.monotonic()
            found[name] = trials[name](Path(folder))
            found[name]["seconds"] = round(time.monotonic() - start_s)
        report.say(f"{name}: {found[name]}")
    broken = [f"{name}: {each}" for name, figures in found.items() for each in _broken(figures)]
    report.say("\n".join(broken) or "nothing was lost, and nothing was wrong without a word")
    report.say(f"saved in {report.save(options.output, 'catalogue', found)}")
    return 1 if broken else 0


def kill_writers(folder: Path, count: int, seed: int) -> Figures:
    """Kills one writer after the other at random moments of its life, on one catalogue."""
    chance, promises, broken = random.Random(seed), Promises(), list[str]()
    for trial in range(count):
        notes = folder / f"notes-{trial}"
        writer = _start_writer(folder / "catalogue", notes, promises.next_change)
        time.sleep(chance.uniform(0, LONGEST_LIFE_S))
        writer.kill()
        writer.wait()
        promises.read(notes.read_bytes())
        broken += [f"kill {trial}: {each}" for each in _find_broken(promises, folder / "catalogue")]
    return {"kills": count, "acknowledged": promises.acknowledged_count, "broken": broken}


def cut_power(folder: Path, count: int, seed: int) -> Figures:
    """Lets a writer live, and opens what cuts at random moments would have left of its files."""
    chance, broken = random.Random(seed), list[str]()
    watched, log = folder / "watched", folder / "log"
    watched.mkdir()
    environment = watched_environment(build_watcher(folder), watched, log)
    writer = _start_writer(watched / "catalogue", watched / "notes", 0, environment)
    time.sleep(WATCHED_LIFE_S)
    writer.kill()
    writer.wait()
    steps = sum(1 for _ in read_steps(log))
    moments = set(chance.sample(range(steps), min(count, steps)))
    disk, acknowledged = Disk(), 0
    for moment, step in enumerate(read_steps(log)):
        disk.take(step)
        if moment in moments:
            promises = Promises()
            promises.read(disk.seen(watched / "notes"))
            acknowledged += promises.acknowledged_count
            left = folder / "left"
            disk.write_cut(watched, left, chance)
            found = _find_broken(promises, left / "catalogue")
            broken += [f"cut at {moment} of {steps}: {each}" for each in found]
            shutil.rmtree(left, ignore_errors=True)
    return {"cuts": len(moments), "acknowledged": acknowledged, "broken": broken}


def _start_writer(
    folder: Path, notes: Path, first: int, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts a writer, and waits until it has issued its first change."""
    words = [folder, notes, first, SNAPSHOT_EVERY]
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.catalogue.writer", *map(str, words)], env=environment
    )
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not notes.exists() or not notes.stat().st_size:
        if writer.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError(f"the writer did not begin: status {writer.poll()}")
        time.sleep(0.01)
    return writer


def _find_broken(promises: Promises, folder: Path) -> list[str]:
    try:
        return asyncio.run(promises.find_broken(folder))
    except Exception as error:  # whatever it is, it is what a user would meet at the next start
        return [f"it does not open: {error!r}"]


def _broken(figures: Figures) -> list[str]:
    found = figures["broken"]
    assert isinstance(found, list)
    return found


def _parser() -> argparse.ArgumentParser:
    names = ["kills", "power", "flips", "turnover"]
    parser = argparse.ArgumentParser(prog="python -m tests.soak.catalogue", description=__doc__)
    add = parser.add_argument
    add("--trials", nargs="+", choices=names, default=names, help="what is tried")
    add("--kills", type=int, default=200, help="writers that are killed")
    add("--cuts", type=int, default=200, help="moments at which the power is cut")
    add("--flips", type=int, default=1000, help="bytes that are flipped, one at a time")
    add("--products", type=int, default=100_000, help="products that are replaced three times")
    add("--seed", type=int, default=1, help="chooses moments and places")
    add("--output", type=Path, default=OUTPUT, help="folder of the report")
    return parser


if __name__ == "__main__":
    sys.exit(main())
