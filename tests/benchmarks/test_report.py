"""Tables and JSON of a benchmark, the description of the machine, and sides that take turns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as everything
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.report import Report
from tests.benchmarks.rounds import time_in_turn


def test_a_report_keeps_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(name="trial")
    report.add("rates", [{"side": "ours", "ms": 1234.5}, {"side": "other", "note": "[slow]"}])
    saved = json.loads(report.save(tmp_path).read_text())
    assert saved["benchmark"] == "trial"
    assert saved["tables"]["rates"][0] == {"side": "ours", "ms": 1234.5}
    assert saved["machine"]["core_count"] >= 1
    printed = capsys.readouterr().out
    assert "1,234" in printed and "[slow]" in printed


def test_the_machine_names_its_processor_and_the_packages() -> None:
    machine = describe_machine(("pytest", "no-such-package"))
    assert machine.cpu != "" and machine.memory_gib > 0
    assert {"numpy", "pytest"} <= machine.versions.keys()
    assert "no-such-package" not in machine.versions
    assert machine.cpu in str(machine)


def test_sides_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    times_s = time_in_turn(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, round_count=2
    )
    assert calls == ["a", "b"] * 3
    assert times_s.keys() == {"a", "b"} and min(times_s.values()) >= 0


def test_benchmarks_without_an_encoder_say_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert everything.main(["--run", str(tmp_path)]) == 1
    assert "make demo" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(everything.BENCHMARKS))
def test_every_benchmark_of_the_list_is_there(name: str) -> None:
    folder = Path(everything.__file__).parent
    assert (folder / f"{name}.py").is_file() or (folder / name / "__main__.py").is_file()
