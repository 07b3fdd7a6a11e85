"""How the command line of `twinshelf` is read: help, completion, options in any place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from twinshelf.client.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        ["match", "--title", "x", "-k", "0"],
        ["match", "--title", "x", "-k", "99999999999"],
        ["match", "--title", "x", "--weights", "image=a"],
        ["match", "--title", "x", "--weights", "image=0,text=0"],
        ["match", "--title", "x", "--min-probability", "2"],
        ["match", "--title", "x", "--attribute", "red"],
        ["match", "--title", "x", "--price", "-1"],
        ["categorise", "--title", "x", "--min-margin", "2"],
        ["score", "tea", "mug", "--reasons", "-1"],
        ["stats", "--timeout", "0"],
        ["index", "x.csv", "--columns", "colour=x"],
        ["index", ""],
        ["match", "x.csv", ""],
        ["match", "--image", ""],
        [],
    ],
)
def test_a_wrong_option_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Usage: twinshelf" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["match", "--title", "x", "--exclude-own", "seller"], "--exclude-own is for FILE"),
        (["match", "x.csv", "--title", "x"], "not both"),
        (["match", "--title", "x", "--filter", "price<10"], "compared by <= or >="),
        (["match", "--title", "x", "--filter", "title=x"], "of category, brand, seller, price or"),
        (["match", "--title", "x", "--at-most", "seller=2147483648"], "must look like seller=2"),
        (["match", "--title", "x", "--encoder", "9" * 20], "a version must be at most 92233720"),
        (["encoders", "drop", "9" * 9999], "a version must be at most 92233720"),
        (["stats", "--address", "localhost"], "address must be HOST:PORT, such as 127.0.0.1:50051"),
    ],
)
def test_a_wrong_option_is_answered_in_words(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [[], ["index"], ["match"], ["groups", "merge"], ["keys", "add"]]
)
def test_help_names_no_types_of_flags_and_arguments(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--json" in text and "bool" not in text and "list[" not in text


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["match", "--nope"], ["match", "-k", "x"]])
def test_a_command_line_is_read_before_anything_heavy_is_imported(arguments: list[str]) -> None:
    program = (
        "import sys; from twinshelf.client.cli import main; "
        f"main({arguments}); sys.exit(any(name in sys.modules for name in "
        "('grpc', 'numpy', 'pandas', 'pyarrow')))"
    )
    assert not subprocess.run([sys.executable, "-c", program], capture_output=True).returncode


@pytest.mark.slow
@pytest.mark.parametrize(("module", "status"), [("twinshelf.gone.commands", 0), ("gone", 1)])
def test_commands_of_a_part_that_is_not_there_are_passed_over(module: str, status: int) -> None:
    program = (
        "import sys, importlib.metadata as m; "
        f"m.entry_points = lambda group: [m.EntryPoint('gone', '{module}:gone', group)]; "
        "from twinshelf.client.cli import main; sys.exit(main(['stats', '--help']))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert ended.returncode == status, ended.stderr


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_a_sentence_and_a_reader_that_left_is_none(
    tmp_path: Path,
) -> None:
    file = str(tmp_path / "keys.json")
    assert main(["keys", "add", "--scope", "read", "--file", file]) == 0
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}  # so that it is written at the end
    command = [sys.executable, "-m", "twinshelf.client.cli", "keys", "list", "--file", file]
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    said = b"twinshelf: standard output: No space left on device\n"
    for output, expected in ((full, (2, said)), (writer, (0, b""))):
        for form in ([], ["--json"]):
            ended = subprocess.run(
                [*command, *form], stdout=output, stderr=subprocess.PIPE, env=environment
            )
            assert (ended.returncode, ended.stderr) == expected
        os.close(output)


def test_the_shell_completes_commands_and_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TWINSHELF_COMPLETE", "complete_bash")
    for words, last, completed in (
        ("twinshelf ma", 1, "match"),
        ("twinshelf get --tim", 2, "--timeout"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(last))
        assert main([]) == 0
        assert capsys.readouterr().out.split() == [completed]
