"""The trials of the catalogue at small size; power cuts, which need a C compiler, are not here."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak.catalogue.__main__ import main
from tests.soak.catalogue.power_cut import Disk, Step
from tests.soak.catalogue.promises import Promises
from tests.soak.catalogue.writer import open_catalogue

pytestmark = pytest.mark.slow


def test_killed_writers_flips_and_turnover_break_no_promise(tmp_path: Path) -> None:
    small = ["--kills", "2", "--flips", "8", "--products", "600"]
    trials = ["--trials", "kills", "flips", "turnover"]
    assert main([*small, *trials, "--output", str(tmp_path)]) == 0
    assert (tmp_path / "catalogue.json").is_file()


async def test_a_lost_write_is_a_broken_promise(tmp_path: Path) -> None:
    await open_catalogue(tmp_path).close()
    promises = Promises()
    promises.read(b"i 0\na 0\ni 1\n")
    broken = await promises.find_broken(tmp_path)
    assert [each for each in broken if each.endswith("is gone")]


def test_a_power_cut_keeps_what_was_synced_and_no_more(tmp_path: Path) -> None:
    disk = Disk()
    for kind, path, offset, data in (
        ("W", "/w/a", 0, b"first"),
        ("S", "/w/a", 0, b""),
        ("W", "/w/a", 0, b"later"),
        ("W", "/w/b", 0, b"never synced"),
        ("S", "/w/c", 0, b"old"),
        ("R", "/w/c", 0, b"/w/d"),
        ("D", "/w", 0, b""),
    ):
        disk.take(Step(kind=kind, path=path, offset=offset, data=data))
    disk.write_cut(Path("/w"), tmp_path, random.Random(0))
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == {"a": b"first", "d": b"old"}
    assert disk.seen(Path("/w/a")) == b"later"
