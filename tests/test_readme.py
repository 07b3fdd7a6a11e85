"""The README is true: its commands run, its tree and glossary name what is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
# They run until they are stopped; the pattern tells that they serve.
SERVING = {
    "make triton": r"ready",
    "make serve": r"listening on",
    "make web": r"the page is at",
}
# Everything but the size of the data is what a newcomer gets.
SMALL = {"DATA_ARGS": "--product-count=24 --offers-per-product=4"}
SMALL_DEMO = {"TRAIN_ARGS": "--loop.epoch_count=1", "ARGS": "--queries 6"}
# This very test is part of `make test`.
ELSEWHERE = {"make test"}
START_TIMEOUT_S = 180


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this checkout, without what was made in it; its environments are linked."""
    folder = tmp_path_factory.mktemp("checkout")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    for name in (".venv", ".venv-triton"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def environment_of(checkout: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of a command that runs in the copied checkout."""
    # The editable install of the linked environment names this checkout; the copy goes first.
    # Those of a `make test ARGS=...` that runs this very test are not meant for the command.
    ours = {name: text for name, text in os.environ.items() if name not in {"ARGS", "MAKEFLAGS"}}
    return {**ours, **variables, "PYTHONPATH": str(checkout / "protos")}


def run(command: str, checkout: Path, variables: Mapping[str, str]) -> str:
    """Runs a command of the README and returns what it prints."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=checkout,
        env=environment_of(checkout, variables),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def services(checkout: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """What the README starts; all of it is stopped in the end."""
    started: dict[str, subprocess.Popen[bytes]] = {}
    yield started
    for process in reversed(started.values()):
        process.terminate()
        process.wait(60)


def start(command: str, checkout: Path) -> subprocess.Popen[bytes]:
    """Starts a command that serves, and waits until it does."""
    log = checkout / f"{command.replace(' ', '-')}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command.split(),
            cwd=checkout,
            env=environment_of(checkout, {}),
            stdout=output,
            stderr=output,
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while not re.search(SERVING[command], log.read_text()):
        assert process.poll() is None, f"{command} ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"{command} does not serve:\n{log.read_text()}"
        time.sleep(0.1)
    return process


@pytest.mark.triton
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_run_in_the_order_of_the_readme(
    checkout: Path, services: dict[str, subprocess.Popen[bytes]]
) -> None:
    assert COMMANDS[0] == "make demo"
    for command in COMMANDS:
        if command in SERVING:
            services[command] = start(command, checkout)
        elif command not in ELSEWHERE:
            run(command, checkout, SMALL | (SMALL_DEMO if command == "make demo" else {}))
    assert (checkout / "runs/generated/matches.html").is_file()
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    found = subprocess.run(
        [sys.executable, "-c", snippet], cwd=checkout, capture_output=True, text=True
    )
    assert re.search(r"\d+%  g\d+", found.stdout), found.stderr


def test_the_tree_names_folders_and_files_that_are_there() -> None:
    (tree,) = re.findall(r"## The tree\n\n```\n(.*?)```", README, re.DOTALL)
    parent, named = "", set()
    for line in tree.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            parent = name
        path = parent if name == parent else parent + name
        named.add(path)
        assert (ROOT / path).exists(), path
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    folders = {f.split("/")[0] + "/" for f in listing.stdout.splitlines() if "/" in f}
    assert {folder for folder in folders if not folder.startswith(".")} <= named


def test_every_path_that_a_document_names_is_there() -> None:
    documents = [*ROOT.glob("*/README.md"), *(ROOT / ".github").glob("*.md"), ROOT / "README.md"]
    folders = "training|export|model_repository|server|client|protos|tests"
    for document in documents:
        for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", document.read_text("utf-8")):
            assert (ROOT / path).exists(), f"{document} names {path}"


@pytest.mark.slow
def test_the_glossary_uses_words_of_the_code() -> None:
    (glossary,) = re.findall(r"## Glossary\n(.*?)\n## ", README, re.DOTALL)
    code = "".join(
        re.sub(r"[\W_]+", "", path.read_text("utf-8").lower())
        for folder in ("training", "export", "server", "client", "protos")
        for path in (ROOT / folder).rglob("*.p*")
        if path.suffix in {".py", ".proto"}
    )
    rows = re.findall(r"^\| ([^|]+) \|", glossary, re.MULTILINE)
    for words in rows[2:]:
        for word in words.split(","):
            assert re.sub(r"\W+", "", word) in code, word
