"""The smallest model repository: one ONNX model that answers what it is asked, quick to load."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from onnx import TensorProto, helper

from tests.model_repository.tiny_graphs import save_graph, value
from twinshelf.export.encoder_models import RECORD
from twinshelf.export.manifest import list_files

MODEL = "identity"


def write_identity_repository(root: Path, version: int = 1) -> Path:
    """Writes the model and the configuration of a version; returns the root."""
    config = f'backend: "onnxruntime"\nmax_batch_size: 4\nname: "{MODEL}"\n'
    config += "instance_group [{ kind: KIND_CPU count: 1 }]\n"
    config += 'input [{ name: "X" data_type: TYPE_FP32 dims: [2] }]\n'
    config += 'output [{ name: "Y" data_type: TYPE_FP32 dims: [2] }]\n'
    save_graph(
        root / MODEL / str(version) / "model.onnx",
        [helper.make_node("Identity", ["X"], ["Y"])],
        [value("X", TensorProto.FLOAT, ["batch", 2])],
        [value("Y", TensorProto.FLOAT, ["batch", 2])],
    )
    (root / MODEL / "config.pbtxt").write_text(config)
    (root / MODEL / "configs").mkdir(exist_ok=True)
    pinned = f"version_policy {{ specific {{ versions: [{version}] }} }}\n"
    (root / MODEL / "configs" / f"v{version}.pbtxt").write_text(config + pinned)
    write_manifest(root, version)
    return root


def write_manifest(root: Path, version: int = 1) -> None:
    """Writes the list of the version's files, as they are now."""
    graph = root / MODEL / str(version) / "model.onnx"
    manifest = list_files(root, version, [MODEL], [graph], warmup_from=[root])
    (graph.parent / RECORD).write_text(json.dumps(asdict(manifest)), "utf-8")
