"""Every command: its help and its refusals come before anything heavy is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HEAVY = {"lightning", "matplotlib", "mlflow", "onnx", "onnxruntime", "pandas", "scipy", "sklearn",
         "tensorboard", "timm", "torch", "torchvision", "transformers"}  # fmt: skip

# Exit status, standard output, standard error, and what was imported by then.
Answers = dict[str, list[tuple[int, str, str, list[str]]]]

# What each command is given besides a value out of range, that value, and the sentence it earns.
COMMANDS = {
    "training.train": ([], ["--seed=-1"], "seed must be 0 or more, got -1"),
    "training.catalogues.prepare": (
        ["--data=x"], ["--columns=x"],
        "--columns must look like title=name,images=photo, got 'x'",
    ),
    "training.evaluation": (
        ["--run=x"], ["--target-precision=2"],
        "--target-precision must be above 0 and at most 1, got 2.0",
    ),
    "training.categories": (
        ["--run=x"], ["--target-accuracy=0"],
        "--target-accuracy must be above 0 and at most 1, got 0.0",
    ),
    "training.grouping": (
        ["--run=x", "--products=p", "--output=o.parquet"], ["--least-density=2"],
        "--least-density must be 0 to 1, got 2.0",
    ),
    "training.runs": (["x"], ["--width=0"], "--width must be 1 or more, got 0"),
    "training.pairs.train_pairs": (
        ["--pairs=p", "--output=o"], ["--validation-share=1"],
        "--validation-share must be above 0 to below 1, got 1.0",
    ),
    "training.pairs.evaluate_pairs": (
        ["--run=x", "--pairs=p"], ["--explain=-1"], "--explain must be 0 or more, got -1"
    ),
    "export": (["--run=x"], ["--version=0"], "--version must be 1 to 2147483647, got 0"),
    "export.pair_scorer": (
        ["--run=x"],
        ["--version=0"],
        "--version must be 1 to 2147483647, got 0",
    ),
    "server": ([], ["--reader-count=0"], "--reader-count must be 1 to 256, got 0"),
    "server.catalogue": (
        [], ["--back-up=a", "--restore=b"], "--back-up cannot stand beside --restore"
    ),
    "server.up": ([], ["--version=0"], "--version must be 1 or more, got 0"),
    "server.triton": ([], ["--version=0"], "--version must be 1 or more, got 0"),
}  # fmt: skip

# Runs command lines one after the other as `python -m` does; prints what each came to.
RUNNER = """
import contextlib, io, json, runpy, sys
found = []
for module, words in json.loads(sys.argv[1]):
    sys.argv, said, told = [module, *words], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            found.append([ended.code, said.getvalue(), told.getvalue(), list(sys.modules)])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Any]]:
    """What each command answers to --help, to an unknown option and to a value out of range."""
    lines = [
        (f"twinshelf.{name}", words)
        for name, (needed, wrong, _) in COMMANDS.items()
        for words in (["--help"], [*needed, "--unknown=1"], [*needed, *wrong])
    ]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(lines)], capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    found = iter(json.loads(done.stdout))
    return {name: [next(found) for _ in range(3)] for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_refusals_come_at_once_and_in_words(
    name: str, answers: dict[str, list[Any]]
) -> None:
    shown, unknown, wrong = answers[name]
    assert shown[0] == 0 and shown[1].startswith(f"usage: python -m twinshelf.{name} ")
    assert "--help" in shown[1] and shown[2] == ""
    sentences = ("unrecognized arguments: --unknown=1", COMMANDS[name][2])
    for answer, sentence in zip((unknown, wrong), sentences, strict=True):
        assert answer[:3] == [2, "", f"error: {sentence}; --help lists the options\n"]
    for answer in answers[name]:
        assert not HEAVY & set(answer[3])
