"""The generated code beside the protos is what the compiler makes of them today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.protos.compiling import PROTO_FILES, ROOT, compile_protos

SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    compile_protos([f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")])
    return folder


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("path", PROTO_FILES, ids=lambda path: path.name)
def test_generated_code_has_not_drifted(fresh: Path, path: Path, suffix: str) -> None:
    name = path.relative_to(ROOT).with_suffix("")
    generated = name.with_name(name.name + suffix)
    assert (ROOT / generated).read_text() == (fresh / generated).read_text(), "run `make protos`"


def test_no_generated_code_is_left_of_protos_that_are_gone() -> None:
    stems = {path.stem for path in PROTO_FILES}
    for path in ROOT.rglob("*_pb2*"):
        if "__pycache__" not in path.parts:
            assert path.name.partition("_pb2")[0] in stems
