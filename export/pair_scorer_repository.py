"""The pair scorer's models in a model repository: their files and configurations."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tritonclient.grpc.model_config_pb2 import ModelConfig

import twinshelf.training.pairs
from twinshelf.export.configurations import pin_version
from twinshelf.export.repository import copy_sources
from twinshelf.server.triton.repository import RepositoryError, config_path, read_config
from twinshelf.training.pairs.features import cosine_count

FEATURES_MODEL, CLASSIFIER_MODEL, SCORER_MODEL = "pair_features", "pair_classifier", "pair_scorer"
# The ensemble last: its configuration completes a version.
MODELS = (FEATURES_MODEL, CLASSIFIER_MODEL, SCORER_MODEL)
PARAMETER = "twinshelf_pair_contract"
SOURCES = Path(twinshelf.training.pairs.__file__).parent
ENTRY_SOURCES = ("features.py", "records.py")
VENDORED = "pairs"
STATISTICS, FEATURE_NAMES, GRAPH = "statistics.npz", "feature_names.json", "model.onnx"


def vendored_sources() -> list[str]:
    """Returns the files of `twinshelf.training.pairs` that features are computed with, sorted."""
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
    copy_sources(vendored_sources(), SOURCES, folder / VENDORED)


def pin_pair_config(
    config: ModelConfig, *, version: int, contract: Mapping[str, Any]
) -> ModelConfig:
    """Returns a copy of a committed configuration that holds for one version alone.

    Args:
        config: The committed configuration of one of `MODELS`.
        version: The version that it is to load.
        contract: What the ensemble holds in its parameters; names the features.
    """
    names = contract["feature_names"]
    sizes = {"FEATURES": len(names), "COSINES": cosine_count(names)}
    pinned = pin_version(config, version)
    for tensor in (*pinned.input, *pinned.output):
        if tensor.name in sizes:
            tensor.dims[:] = [sizes[tensor.name]]
    for sample in pinned.model_warmup:
        for name in sizes.keys() & sample.inputs.keys():
            sample.inputs[name].dims[:] = [sizes[name]]
    if pinned.name == SCORER_MODEL:
        document = json.dumps(contract, ensure_ascii=False, sort_keys=True)
        pinned.parameters[PARAMETER].string_value = document
    return pinned


def read_pair_contract(repository: Path, version: int) -> dict[str, Any] | None:
    """Returns the contract that a version of the pair scorer holds; None when it has none."""
    try:
        config = read_config(config_path(repository, SCORER_MODEL, version))
        contract = json.loads(config.parameters[PARAMETER].string_value)
    except (RepositoryError, json.JSONDecodeError):
        return None
    return contract if isinstance(contract, dict) else None


def _siblings(source: Path) -> list[str]:
    tree = ast.parse(source.read_text("utf-8"))
    relative = (n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level == 1)
    return [f"{node.module}.py" for node in relative if node.module]
