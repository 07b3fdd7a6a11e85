"""The command line of the quality table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.quality.__main__ import build_parser, main
from tests.benchmarks.quality.places import Command


def test_all_rows_are_run_by_default_and_some_by_name() -> None:
    parser = build_parser()
    every = ("grocery", "fashion", "sports", "abt-buy", "amazon-google", "wdc")
    assert parser.parse_args(["--data-root", "x"]).rows == every
    assert parser.parse_args(["--data-root", "x", "--rows", "wdc, sports"]).rows == (
        "wdc",
        "sports",
    )


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data-root", "x", "--rows", "shoes"])
    assert "expected names of grocery" in capsys.readouterr().err


def test_a_row_that_cannot_be_measured_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--data-root",
        str(tmp_path),
        "--rows",
        "sports,wdc",
        "--output",
        str(tmp_path / "o"),
    ]
    assert main(options) == 1
    error = capsys.readouterr().err
    assert "sports could not be measured: no" in error
    assert "wdc could not be measured: no" in error
    assert (tmp_path / "o" / "quality.md").is_file()


def test_a_command_that_fails_is_quoted() -> None:
    with pytest.raises(
        RuntimeError, match="ended with status 1: python -m no_such_module --a 'b c'"
    ):
        Command.of("no_such_module", "--a", "b c").run()
