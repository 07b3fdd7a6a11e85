"""Probe pairs of a scorer: validation pairs kept in its folder, on which a copy is compared."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

from twinshelf.training.files import atomic_write
from twinshelf.training.pairs.features import Cosines

PROBES = "probes.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairProbe:
    """A pair as callers send it, and what the trees answered.

    Attributes:
        left: Left record as a JSON object.
        right: Right record.
        cosines: What the encoder or the precomputed vectors say; NaN where nothing.
        probability: Answer of the trees alone, without any cross-encoder.
    """

    left: str
    right: str
    cosines: Cosines
    probability: float


def write_probes(folder: Path, probes: Iterable[PairProbe]) -> None:
    """Writes probes to a scorer's folder, one JSON object a line."""
    with atomic_write(folder / PROBES) as partial, partial.open("w", encoding="utf-8") as file:
        for probe in probes:
            cosines = [None if math.isnan(x) else x for x in astuple(probe.cosines)]
            values = asdict(probe) | {"cosines": cosines}
            file.write(json.dumps(values, ensure_ascii=False) + "\n")


def read_probes(folder: Path) -> list[PairProbe]:
    """Reads what `write_probes` wrote.

    Raises:
        FileNotFoundError: If the folder holds no probes.
        ValueError: If a line is no probe.
    """
    path = folder / PROBES
    probes = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            values = json.loads(line)
            cosines = [math.nan if x is None else float(x) for x in values["cosines"]]
            read = {"cosines": Cosines.of(cosines), "probability": float(values["probability"])}
            probes.append(PairProbe(**values | read))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}, is no probe: {error!r}") from error
    return probes
