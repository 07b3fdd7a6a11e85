"""The pair scorer's place in a model repository."""

import ast
import os
import sys

import pytest

from export.configurations import config_path
from export.pair_scorer_repository import (
    MODELS,
    SOURCES,
    move_pair_version,
    taken_pair_versions,
    vendored_sources,
)
from export.repository import version_folder


def write_version(repository, version, content):
    for model in MODELS:
        version_folder(repository, model, version).mkdir(parents=True, exist_ok=True)
        (version_folder(repository, model, version) / "file").write_text(content)
        config_path(repository, model, version).parent.mkdir(exist_ok=True)
        config_path(repository, model, version).write_text(content)


def contents(repository, version):
    paths = [config_path(repository, model, version) for model in MODELS]
    paths += [version_folder(repository, model, version) / "file" for model in MODELS]
    return {path.read_text() for path in paths}


def test_vendored_sources_need_nothing_but_each_other_and_numpy():
    names = vendored_sources()
    assert {"features.py", "records.py", "statistics.py", "tokens.py"} <= set(names)
    for name in names:
        for node in ast.walk(ast.parse((SOURCES / name).read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1 and f"{node.module}.py" in names
            elif isinstance(node, ast.Import | ast.ImportFrom):
                modules = [getattr(node, "module", None) or alias.name for alias in node.names]
                roots = {module.split(".")[0] for module in modules}
                assert roots <= {*sys.stdlib_module_names, "numpy"}, name


def test_a_version_takes_the_place_of_an_older_one(tmp_path):
    write_version(tmp_path / "models", 3, "old")
    write_version(tmp_path / "models" / ".staged", 3, "new")
    move_pair_version(tmp_path / "models" / ".staged", tmp_path / "models", 3)
    assert contents(tmp_path / "models", 3) == {"new"}
    assert taken_pair_versions(tmp_path / "models") == [3]


def test_a_move_that_fails_brings_the_old_version_back(tmp_path, monkeypatch):
    write_version(tmp_path / "models", 3, "old")
    write_version(tmp_path / "models" / ".staged", 3, "new")
    replace, calls = os.replace, []

    def fail_late(source, target):
        calls.append(source)
        if len(calls) == 9:
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_late)
    with pytest.raises(OSError, match="disk full"):
        move_pair_version(tmp_path / "models" / ".staged", tmp_path / "models", 3)
    assert contents(tmp_path / "models", 3) == {"old"}
