"""Both commands of the export, before and around what they publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from twinshelf.export import __main__ as encoder
from twinshelf.export import pair_scorer, pair_scorer_publishing

Command = Callable[[Sequence[str]], int]
COMMANDS = pytest.mark.parametrize(
    "command", [encoder.main, pair_scorer.main], ids=["encoder", "pairs"]
)


@COMMANDS
@pytest.mark.parametrize("version", ["0", "2147483648", "9223372036854775808"])
def test_a_version_that_triton_has_no_number_for_is_refused_at_once(
    command: Command, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(["--run", "nowhere", "--version", version])
    assert f"--version must be 1 to 2147483647, got {version}" in capsys.readouterr().err


@COMMANDS
def test_ctrl_c_is_told_in_a_line(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(encoder, "source_digest", stop)
    monkeypatch.setattr(pair_scorer_publishing, "publish_pair_scorer", stop)
    assert command(["--run", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "stopped: nothing was published\n"
