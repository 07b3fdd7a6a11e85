"""What the steps between training and serving take: evaluation, export, and features of pairs.

python -m tests.benchmarks.batch_steps
python -m tests.benchmarks.batch_steps --pairs ../shared/data/pairs/*/train.txt

Evaluation and export are the commands of `make evaluate` and `make export`, in processes of their
own, on copies: an evaluation must come to the figures that the run has, an export pass its gate.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from tests.benchmarks.rounds import time_in_turn
from twinshelf.training.pairs.features import feature_matrix
from twinshelf.training.pairs.labelled_pairs import read_pairs
from twinshelf.training.pairs.read_record import pair_tokens
from twinshelf.training.pairs.scorer import describe_pairs
from twinshelf.training.pairs.statistics import TokenStatistics

# What each may take on two idle cores.
MOST_S = {"evaluate": 15.0, "export": 30.0}
LEAST_PAIRS_PER_S = 2000.0
LONE_COUNT = 500
ROUND_COUNT = 3


def time_steps(run: Path, folder: Path, round_count: int) -> list[Row]:
    """Evaluates and publishes copies of a run, in turn.

    Raises:
        AnswersDifferError: If one of the commands fails, or finds other figures than the run has.
    """
    own = folder / "run"
    shutil.copytree(run, own)
    (own / "evaluation.json").unlink()

    def publish() -> None:
        shutil.rmtree(folder / "models", ignore_errors=True)  # the same again would do nothing
        _command("twinshelf.export", "--run", str(own), "--repository", str(folder / "models"))

    evaluate = partial(_command, "twinshelf.training.evaluation", "--run", str(own))
    times_s = time_in_turn({"evaluate": evaluate, "export": publish}, round_count=round_count)
    if _patterns(own) != _patterns(run):
        raise AnswersDifferError(f"{run}/evaluation.json has other figures: `make evaluate`")
    return [
        {"step": name, "s": taken_s, "at most": MOST_S[name]} for name, taken_s in times_s.items()
    ]


def time_pairs(path: Path) -> Row:
    """Describes all pairs of a file by one core, some of them one by one, and all as training does.

    What is of one thread is timed by its core: what else runs here does not count. Training takes
    all cores, by processes that are started once.

    Raises:
        AnswersDifferError: If both do not come to the same features.
    """
    sides = read_pairs(path).sides
    statistics = TokenStatistics.count(pair_tokens(record) for side in sides for record in side)
    times_s = []
    for _ in range(ROUND_COUNT):
        start_s = time.process_time()
        _, features = feature_matrix(sides, statistics)
        times_s.append(time.process_time() - start_s)
    describe_pairs(sides, statistics)
    wall_s = []
    for _ in range(ROUND_COUNT):
        start_s = time.perf_counter()
        _, by_all = describe_pairs(sides, statistics)
        wall_s.append(time.perf_counter() - start_s)
    if not np.array_equal(features, by_all, equal_nan=True):
        raise AnswersDifferError(f"pairs of {path} differ when all cores describe them")
    some = sides[:LONE_COUNT]
    start_s = time.process_time()
    alone = [feature_matrix([side], statistics)[1][0] for side in some]
    lone_s = time.process_time() - start_s
    if not np.array_equal(features[: len(some)], alone, equal_nan=True):
        raise AnswersDifferError(f"pairs of {path} differ when they are described one by one")
    return {
        "pairs": path.parent.name,
        "count": len(sides),
        "records": len({(r.title, r.description, r.price) for side in sides for r in side}),
        "one core": len(sides) / float(np.median(times_s)),
        "all cores": len(sides) / float(np.median(wall_s)),
        "one by one": len(some) / lone_s,
        "at least": LEAST_PAIRS_PER_S,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 when a step does not do what it did before, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.batch_steps",
        description="Evaluation, export, and features of pairs.",
    )
    add = parser.add_argument
    add("--run", type=Path, default=Path("runs/generated"), help="trained and evaluated")
    add("--pairs", type=Path, nargs="*", default=[], help="files of pairs in Ditto's form")
    add("--rounds", type=int, default=ROUND_COUNT, help="turns of the steps; 0 for pairs alone")
    add("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    if options.rounds and not (options.run / "evaluation.json").is_file():
        parser.error(f"no evaluated run in {options.run}: `make demo` leaves one")
    report = Report(name="batch_steps")
    report.say(str(report.machine))
    try:
        if options.pairs:
            report.add("features of pairs a second", list(map(time_pairs, options.pairs)))
        if options.rounds:
            with tempfile.TemporaryDirectory() as folder:
                report.add("steps", time_steps(options.run, Path(folder), options.rounds))
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    report.save(options.output)
    return 0


def _command(module: str, *arguments: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise AnswersDifferError(f"{module} failed: {ended.stderr[-2000:]}")


def _patterns(run: Path) -> Any:
    return json.loads((run / "evaluation.json").read_text("utf-8"))["patterns"]


if __name__ == "__main__":
    sys.exit(main())
