"""The rows of labelled pairs: Abt-Buy, Amazon-Google, WDC computers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks.quality.places import Command, Places
from tests.benchmarks.quality.results import Measurement
from tests.benchmarks.quality.row import Row, read_estimate, read_values

TRAINED = "pairs.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSet:
    """A data set of labelled pairs.

    Attributes:
        folder: Folder below `pairs`.
        title: What the table calls it.
        ditto_f1: F1 on the test half as published for Ditto, 0 to 1.
        reach: What it is to come to.
    """

    folder: str
    title: str
    ditto_f1: float
    reach: float


PAIR_SETS = {
    "abt-buy": PairSet(folder="Abt-Buy", title="Abt-Buy", ditto_f1=0.893, reach=0.94),
    "amazon-google": PairSet(
        folder="Amazon-Google", title="Amazon-Google", ditto_f1=0.756, reach=0.80
    ),
    "wdc": PairSet(
        folder="wdc-computers", title="WDC computers small", ditto_f1=0.808, reach=0.808
    ),
}


def pair_row(name: str, places: Places) -> Row:
    """Returns the row of a set of pairs; its test half is scored when `test.txt` is there."""
    pair_set, run = PAIR_SETS[name], places.run(name)
    folder = places.data_root / "pairs" / pair_set.folder
    options: list[str | Path] = ["--pairs", folder, "--output", run]
    if places.text_encoder is not None:
        options += ["--encoder", places.text_encoder]
    test = folder / "test.txt"
    has_test = test.is_file()
    evaluate = Command.of("twinshelf.training.pairs.evaluate_pairs", "--run", run, "--pairs", test)
    sources = (folder / "train.txt", folder / "valid.txt", places.text_encoder)
    return Row(
        name=name,
        run=run,
        sources=tuple(path for path in sources if path is not None),
        train=Command.of("twinshelf.training.pairs.train_pairs", *options, makes=[run / TRAINED]),
        evaluate=(evaluate,) if has_test else (),
        read=lambda: (_tested(run, pair_set) if has_test else _estimated(run, pair_set),),
    )


def _tested(run: Path, pair_set: PairSet) -> Measurement:
    found = read_values(run / "evaluation-test.json")
    return Measurement(
        task="pair F1 on test, threshold from validation",
        data=f"{pair_set.title}, {found['pair_count']} pairs",
        reference=_reference(pair_set),
        reach=pair_set.reach,
        value=float(found["f1"]),
    )


def _estimated(run: Path, pair_set: PairSet) -> Measurement:
    variants = read_values(run / TRAINED, "validation")
    pair_count = next(iter(variants.values()))["pair_count"]
    found = read_estimate(run / TRAINED, "carried", "F1")
    return Measurement(
        task="pair F1, estimated on validation",
        data=f"{pair_set.title}, {pair_count} pairs",
        reference=f"{_reference(pair_set)} on test",
        reach=pair_set.reach,
        value=found.value,
        low=found.low,
        high=found.high,
        note="No test half lies here. Threshold from one half of the validation pairs, F1 on the "
        "other, mean over random halves with their interval of 95 %; the same pairs chose "
        "the variant and its share, so expect the test half a little lower.",
    )


def _reference(pair_set: PairSet) -> str:
    return f"Ditto {100 * pair_set.ditto_f1:.1f}"


PAIR_ROWS: dict[str, Callable[[Places], Row]] = {
    name: partial(pair_row, name) for name in PAIR_SETS
}
