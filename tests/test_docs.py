"""The site's own pages name commands, options and targets that there are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from twinshelf.client.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "pages").glob("*.md"))
TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_every_target_is_one_of_the_makefile() -> None:
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert len(targets) > 8
    assert targets <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_every_variable_is_one_of_the_makefile() -> None:
    variables = set(re.findall(r"\b([A-Z_]{3,})=", TEXT))
    assert variables <= set(re.findall(r"^([A-Z_]+) [?:]?=", MAKEFILE, re.MULTILINE)) | {"COLUMNS"}


def test_every_command_and_option_is_one_of_twinshelf() -> None:
    group = typer.main.get_group(app)
    calls = re.findall(r"twinshelf ([a-z]+)(?:[ `]|$)([^`\n#|]*)", TEXT)
    assert len(calls) > 10
    for name, rest in calls:
        command = group.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None, name
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, (name, rest)


@pytest.mark.slow
@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_python_imports_what_there_is(code: str) -> None:
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    assert imports
    lines = "\n".join(map(ast.unparse, imports))
    subprocess.run([sys.executable, "-c", lines], check=True)


def test_every_path_that_a_page_names_is_there() -> None:
    for path in re.findall(r"`((?:server|client|training|export)/[^`*]+)`", TEXT):
        assert (ROOT / path).exists(), path


def test_a_newcomer_trains_without_a_gpu_and_without_a_download() -> None:
    tutorial = (ROOT / "docs" / "pages" / "tutorial.md").read_text("utf-8")
    typed = "\n".join(re.findall(r"```sh\n(.*?)```", tutorial, re.DOTALL))
    assert "make train NAME=" in typed
    for preset in re.findall(r"CONFIG=(\w+)", typed):
        assert "pretrained" not in (ROOT / "training" / "configs" / f"{preset}.yaml").read_text()
