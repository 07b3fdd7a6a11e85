"""The pair scorer's models in a model repository: their files, configurations and versions."""

from __future__ import annotations

import ast
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tritonclient.grpc.model_config_pb2 import ModelConfig

import training.pairs
from export.configurations import config_path
from export.repository import version_folder

FEATURES_MODEL, CLASSIFIER_MODEL, SCORER_MODEL = "pair_features", "pair_classifier", "pair_scorer"
# The ensemble last: its configuration completes a version.
MODELS = (FEATURES_MODEL, CLASSIFIER_MODEL, SCORER_MODEL)
PARAMETER = "twinshelf_pair_contract"
SOURCES = Path(training.pairs.__file__).parent
ENTRY_SOURCES = ("features.py", "records.py")
VENDORED = "pairs"
STATISTICS, FEATURE_NAMES, GRAPH = "statistics.npz", "feature_names.json", "model.onnx"


def vendored_sources() -> list[str]:
    """Returns the files of `training.pairs` that features are computed with, sorted."""
    found: set[str] = set()
    waiting = list(ENTRY_SOURCES)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _siblings(SOURCES / name)
    return sorted(found | {"__init__.py"})


def vendor_features(folder: Path) -> None:
    """Copies the sources of the features into a version folder, as package `pairs`."""
    target = folder / VENDORED
    target.mkdir(parents=True)
    for name in vendored_sources():
        shutil.copyfile(SOURCES / name, target / name)


def pin_pair_config(
    config: ModelConfig, *, version: int, contract: Mapping[str, Any]
) -> ModelConfig:
    """Returns a copy of a committed configuration that holds for one version alone.

    Args:
        config: The committed configuration of one of `MODELS`.
        version: The version that it is to load.
        contract: What the ensemble holds in its parameters; names the features.
    """
    feature_count = len(contract["feature_names"])
    pinned = ModelConfig()
    pinned.CopyFrom(config)
    pinned.version_policy.specific.versions[:] = [version]
    for tensor in (*pinned.input, *pinned.output):
        if tensor.name == "FEATURES":
            tensor.dims[:] = [feature_count]
    for sample in pinned.model_warmup:
        if "FEATURES" in sample.inputs:
            sample.inputs["FEATURES"].dims[:] = [feature_count]
    for step in pinned.ensemble_scheduling.step:
        step.model_version = version
    if pinned.name == SCORER_MODEL:
        document = json.dumps(contract, ensure_ascii=False, sort_keys=True)
        pinned.parameters[PARAMETER].string_value = document
    return pinned


def taken_pair_versions(repository: Path) -> list[int]:
    """Returns the versions that any of the models has anything of, rising."""
    found: set[int] = set()
    for model in MODELS:
        names = [path.name for path in (repository / model).glob("[0-9]*") if path.is_dir()]
        names += [path.stem[1:] for path in (repository / model / "configs").glob("v*.pbtxt")]
        found |= {int(name) for name in names if name.isdecimal()}
    return sorted(found)


def complete_pair_files(repository: Path, committed: Path) -> None:
    """Gives a repository the committed files of the models that it lacks; its own are kept."""
    for model in MODELS:
        for source in _committed_files(committed / model):
            target = repository / source.relative_to(committed)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


def move_pair_version(staged: Path, repository: Path, version: int) -> None:
    """Moves a staged version into the repository, in place of one of the same number.

    Old configurations go first and new ones come last, so that Triton never starts on a half.

    Raises:
        OSError: If a move fails; what was there before is then back in its place.
    """
    configs = [
        (config_path(staged, m, version), config_path(repository, m, version)) for m in MODELS
    ]
    folders = [
        (version_folder(staged, m, version), version_folder(repository, m, version)) for m in MODELS
    ]
    old = [target for _, target in (*reversed(configs), *folders)]
    moves = [(path, staged / "replaced" / path.relative_to(repository)) for path in old]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in (*moves, *folders, *configs):
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target)
                done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            os.replace(target, source)
        raise


def _committed_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        is_published = place.parts[0].isdecimal() or place.parts[0] == "configs"
        if path.is_file() and not is_published and "__pycache__" not in place.parts:
            yield path


def _siblings(source: Path) -> list[str]:
    tree = ast.parse(source.read_text("utf-8"))
    relative = (n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level == 1)
    return [f"{node.module}.py" for node in relative if node.module]
