"""The Makefile hands what a user gives over to the commands; CI and the audit leave nothing out."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[1]


def made(
    folder: Path, command: str, script: str, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs make with a shell script in the place of a command."""
    path = folder / command
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    # The make that runs the tests would hand its own variables on.
    own = {name: text for name, text in os.environ.items() if name not in ("MAKEFLAGS", "ARGS")}
    return subprocess.run(
        ["make", "-s", "-o", "setup", *arguments, f"PATH={folder}:{os.environ['PATH']}"],
        cwd=PROJECT,
        env=own | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def commanded(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """Returns the arguments that `twinshelf` gets from make."""
    run = made(folder, "twinshelf", "printf '%s\\n' \"$@\"", *arguments, **environment)
    run.check_returncode()
    return run.stdout.splitlines()


@pytest.mark.parametrize("value", ["a b", "it's", 'say "x"', "a=b", "$5 & `x` $(y)", "a;b#c"])
def test_values_arrive_as_they_were_given(tmp_path: Path, value: str) -> None:
    assert commanded(tmp_path, "match", f"TITLE={value}", f"IMAGE={value}") == [
        "match", "--image", value, "--title", value, "-k", "5"
    ]  # fmt: skip
    assert commanded(tmp_path, "index", f"FILE={value}.csv", f"COLUMNS=title={value}") == [
        "index", f"{value}.csv", "--columns", f"title={value}"
    ]  # fmt: skip
    # As a command of `twinshelf` hands it on, `make group` hands it to Python.
    shown = commanded(tmp_path, "-n", "group", f"FILE={value}.csv", f"COLUMNS=title={value}")
    assert '--products "$GIVEN_FILE" --columns "$GIVEN_COLUMNS"' in shown[0]
    assert commanded(tmp_path, "match", f"FILE={value}.csv")[:2] == ["match", f"{value}.csv"]


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("my offers", "my-offers"),
        ("it's (1)", "it-s--1-"),
        ('a="b" $5;', "a--b---5-"),
        ("ä.b", "ä.b"),
    ],
)
def test_data_may_lie_anywhere_and_gives_its_tables_a_plain_name(
    tmp_path: Path, name: str, called: str
) -> None:
    data, folder = tmp_path / f"{name}.csv", tmp_path / name
    data.touch()
    folder.mkdir()
    given = (f"DATA={data}", f"DATA_DIR={folder}")
    run = made(tmp_path, "python", "printf '%s\\n' \"$@\"", "data", *given, LC_ALL="C.UTF-8")
    run.check_returncode()
    words = run.stdout.splitlines()
    place = words.index("--inputs")
    assert words[place + 1 : place + 3] == [str(data), str(folder)]
    assert words[words.index("--data") + 1] == str(data)
    assert words[words.index("--data-dir") + 1] == str(folder)
    assert words[-1] == f".cache/data/{called}"


@pytest.mark.parametrize("target", ["train", "evaluate"])
def test_a_name_takes_no_blank(tmp_path: Path, target: str) -> None:
    run = made(tmp_path, "python", "echo ran $@", "-n", target, "NAME=my run")
    assert run.returncode == 2 and not run.stdout
    assert "NAME may hold no blank, got 'my run'" in run.stderr
    # In the environment a name may be anybody's.
    assert commanded(tmp_path, "match", "TITLE=x", NAME="my run") == [
        "match", "--title", "x", "-k", "5"
    ]  # fmt: skip


@pytest.mark.slow
def test_a_terminal_that_lacks_a_sign_is_told_the_reason_all_the_same(tmp_path: Path) -> None:
    arguments = ("evaluate", f"NAME={tmp_path.name}")
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    own = {name: text for name, text in os.environ.items() if name != "PYTHONIOENCODING"}
    command = ["make", "-s", "-o", "setup", *arguments]
    ended = subprocess.run(
        command, cwd=PROJECT, env=own | environment, capture_output=True, text=True
    )
    assert f"? evaluate: there is no file or folder runs/{tmp_path.name}" in ended.stdout


def test_cleaning_leaves_what_people_judged(tmp_path: Path) -> None:
    judged = tmp_path / ".cache" / "judgements.sqlite"
    for path in (judged, judged.with_name("judgements.sqlite-wal"), tmp_path / "runs" / "a"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (judged.parent / "data" / "shop").mkdir(parents=True)
    for _ in range(2):  # and with nothing left to remove
        command = ["make", "-s", "-f", str(PROJECT / "Makefile"), "clean"]
        subprocess.run(command, cwd=tmp_path, check=True)
        assert {path.name for path in tmp_path.rglob("*")} == {
            ".cache", "judgements.sqlite", "judgements.sqlite-wal"
        }  # fmt: skip
    shutil.rmtree(judged.parent)
    subprocess.run(command, cwd=tmp_path, check=True)


def test_a_second_setup_waits_for_the_first_and_takes_what_it_made(tmp_path: Path) -> None:
    setup = tmp_path / ".ci" / "setup"
    setup.parent.mkdir()
    shutil.copy(PROJECT / ".ci" / "setup", setup)
    (tmp_path / ".venv").mkdir()
    first = os.open(setup, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    with subprocess.Popen([setup], stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout and "waiting for another one" in second.stdout.readline()
        (tmp_path / ".venv" / "installed").touch()
        os.close(first)
    assert second.returncode == 0 and (tmp_path / ".venv" / "installed").exists()


def test_data_that_is_there_is_not_read_again_for_a_name_alone(tmp_path: Path) -> None:
    tables = PROJECT / ".cache" / "data" / f"test-{tmp_path.name}"
    tables.mkdir(parents=True)
    try:
        arguments = ("-n", "train", f"NAME={tables.name}")
        drawn = commanded(tmp_path, "data", *arguments)
        (tables / "train.parquet").touch()
        trained = commanded(tmp_path, *arguments)
        given = commanded(tmp_path, *arguments, "DATA=products.csv")
    finally:
        shutil.rmtree(tables)
    assert ["catalogues.prepare" in "".join(lines) for lines in (drawn, trained, given)] == [
        True, False, True
    ]  # fmt: skip


def test_a_name_of_no_data_is_an_error_and_no_demo(tmp_path: Path) -> None:
    run = made(tmp_path, "python", "echo ran $@", "train", "NAME=no-such-data")
    assert run.returncode == 2 and not run.stdout
    assert "no data .cache/data/no-such-data: make data DATA=FILE NAME=no-such-data" in run.stderr
    for arguments in (
        *(("demo", "NAME=no-such-data"), ("data", "train", "NAME=no-such-data")),
        *(("train", "DATA=no-such-data.csv"), ("train", "NAME=generated"), ("train",)),
    ):
        assert "training.train --config" in "\n".join(commanded(tmp_path, "-n", *arguments))


@pytest.mark.parametrize("form", ["--model.text.name=docs", "--model.text.name docs"])
def test_files_that_options_name_are_inputs_of_training(tmp_path: Path, form: str) -> None:
    for variable in ("ARGS", "TRAIN_ARGS"):
        lines = commanded(tmp_path, "-n", "train", f"{variable}={form} --loop.epoch_count=1")
        (inputs,) = re.findall(r"--name train --inputs (.*) --outputs", "\n".join(lines))
        assert inputs.split()[1:] == ["docs"]


@pytest.mark.parametrize(
    ("arguments", "is_step"),
    [
        ("", True),
        ("--top-k 1 5", True),
        ("--queries new.csv", False),
        ("--gallery=all.csv", False),
        ("--output other", False),
    ],
)
def test_only_the_evaluation_that_a_run_keeps_is_a_step(
    tmp_path: Path, arguments: str, is_step: bool
) -> None:
    shown = "\n".join(commanded(tmp_path, "-n", "evaluate", f"ARGS={arguments}"))
    assert ("--name evaluate" in shown) == is_step


def test_the_width_of_a_terminal_is_no_mapping(tmp_path: Path) -> None:
    assert commanded(tmp_path, "index", "FILE=a.csv", COLUMNS="80") == ["index", "a.csv"]


def test_prepared_data_may_name_photos_anywhere(tmp_path: Path) -> None:
    gallery = ".cache/data/shop/gallery.parquet"
    assert commanded(tmp_path, "index", "NAME=shop") == ["index", gallery, "--image-root", "/"]


@pytest.mark.parametrize("hole_in", [None, "docs/requirements.lock", "requirements.lock"])
def test_every_lock_is_audited_and_a_hole_in_one_is_told(
    tmp_path: Path, hole_in: str | None
) -> None:
    locks = [
        path for part in ("docs", "server", "tests") for path in PROJECT.glob(f"{part}/**/*.lock")
    ]
    names = {str(path.relative_to(PROJECT)) for path in locks} | {"requirements.lock"}
    run = made(tmp_path, "uv", f"""shift 6; echo "$@"; [ "$2" != "{hole_in}" ]""", "audit")
    audited = re.findall(r"^--requirement (\S+)$", run.stdout, re.MULTILINE)
    assert set(audited) == names and len(audited) == len(names)
    assert (run.returncode == 0) == (hole_in is None)


def test_the_workflow_runs_what_ci_runs_and_the_audit() -> None:
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    steps = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert steps == [".ci/run", "make audit"]
    program = PROJECT / ".ci" / "run"
    assert os.access(program, os.X_OK)
    targets = set(re.findall(r"\bmake ([a-z-]+)", program.read_text("utf-8") + steps[1]))
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    assert {"test", "test-web", "test-alerts"} < targets
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
