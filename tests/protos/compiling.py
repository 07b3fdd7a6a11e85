"""Runs the compiler of the protos as `make protos` does."""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2] / "protos"
PROTO_FILES = sorted(ROOT.rglob("*.proto"))


def compile_protos(arguments: Sequence[str]) -> None:
    """Compiles all protos; the arguments say to what."""
    folders = (
        ROOT,
        sysconfig.get_paths()["purelib"],
        Path(protoc.__file__).parent / "_proto",
    )
    includes = [f"-I{folder}" for folder in folders]
    names = [str(path.relative_to(ROOT)) for path in PROTO_FILES]
    status = protoc.main(["protoc", *includes, *arguments, *names])
    assert status == 0, "the protos do not compile"
