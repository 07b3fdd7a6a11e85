"""The help of programs that are one command: flags look like flags."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twinshelf.client.commands.plain_help import run_command
from twinshelf.client.demo.__main__ import demonstrate
from twinshelf.client.web.__main__ import serve


@pytest.mark.parametrize("command", [serve, demonstrate])
def test_help_names_no_types_of_flags(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command(command, ["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0 and "--help" in text and "bool" not in text
