"""Tests of finding tritonserver; programs and environments are stand-ins made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twinshelf.server.triton.installation import MALLOC_SETTINGS, TritonNotFoundError, find_triton


def write_program(path: Path, text: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def write_installed_server(root: Path, *, is_native: bool = True) -> Path:
    (root / "backends" / ("onnxruntime" if is_native else "python")).mkdir(parents=True)
    return write_program(root / "bin" / "tritonserver")


def write_wheel(prefix: Path, **changes: Any) -> Path:
    """Writes an environment whose Python describes itself as told, with the wheel's files."""
    site = prefix / "site"
    description = {
        "python": "3.11",
        "site_packages": str(site),
        "libraries": [str(prefix), str(prefix / "absent")],
        "packages": {
            "numpy": "1.26.4",
            "onnxruntime": "1.31.1",
            "onnxruntime-gpu": None,
            "pillow": "13",
            "tokenizers": "0.23",
            "nvidia-pytriton": "0.7.0",
        }
        | changes.pop("packages", {}),
        "has_cuda": False,
    } | changes
    write_program(prefix / "bin" / "python", f"cat <<'END'\n{json.dumps(description)}\nEND")
    server = site / "pytriton" / "tritonserver"
    write_program(server / "bin" / "tritonserver")
    stub = server / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
    write_program(stub, "echo Expected 9 arguments >&2; exit 1")
    library = server / "backends" / "python" / "libtriton_python.so"
    library.parent.mkdir(parents=True)
    library.touch()
    return prefix


def test_the_environment_variable_comes_before_path_and_wheel(tmp_path: Path) -> None:
    stated = write_installed_server(tmp_path / "stated")
    on_path = write_installed_server(tmp_path / "on_path")
    wheel = write_wheel(tmp_path / "wheel")
    variables = {
        "TWINSHELF_TRITONSERVER": str(stated),
        "PATH": str(on_path.parent),
        "TWINSHELF_TRITON_ENV": str(wheel),
    }

    assert find_triton(variables).binary == stated
    del variables["TWINSHELF_TRITONSERVER"]
    assert find_triton(variables).binary == on_path
    variables["PATH"] = str(tmp_path)
    assert find_triton(variables).binary.is_relative_to(wheel)


def test_an_installed_server_keeps_its_own_backends_and_environment(tmp_path: Path) -> None:
    binary = write_installed_server(tmp_path / "triton")

    found = find_triton({"TWINSHELF_TRITONSERVER": str(binary)})

    assert found.make_backends(tmp_path / "unused") == tmp_path / "triton" / "backends"
    assert found.environment == {}


def test_an_installed_server_without_a_native_backend_is_refused(tmp_path: Path) -> None:
    binary = write_installed_server(tmp_path, is_native=False)

    with pytest.raises(TritonNotFoundError, match="has no ONNX Runtime backend"):
        find_triton({"TWINSHELF_TRITONSERVER": str(binary)})


def test_a_variable_that_names_no_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TritonNotFoundError, match="TWINSHELF_TRITONSERVER=.* is not a program"):
        find_triton({"TWINSHELF_TRITONSERVER": str(tmp_path)})


def test_the_wheel_gets_our_onnx_backend_beside_the_fitting_stub(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "wheel")

    found = find_triton({"TWINSHELF_TRITON_ENV": str(wheel), "PATH": ""})
    backends = found.make_backends(tmp_path / "private")

    assert (backends / "onnxruntime" / "model.py").is_file()
    assert (backends / "python" / "triton_python_backend_stub").is_file()
    # The server refuses a library that is a link out of its folder.
    assert not (backends / "python" / "libtriton_python.so").is_symlink()


def test_the_wheel_runs_with_its_libraries_its_python_and_quiet_malloc(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "wheel")
    variables = {
        "TWINSHELF_TRITON_ENV": str(wheel),
        "PATH": "/somewhere",
        "LD_LIBRARY_PATH": "/mine",
        "MALLOC_TOP_PAD_": "5",
    }

    environment = find_triton(variables).environment

    assert environment["PATH"].split(":")[0] == str(wheel / "bin")
    libraries = environment["LD_LIBRARY_PATH"].split(":")
    assert libraries == [str(wheel / "site" / "nvidia_pytriton.libs"), str(wheel), "/mine"]
    assert environment["MALLOC_TOP_PAD_"] == "5"
    assert set(MALLOC_SETTINGS) <= set(environment)


def test_the_server_reaches_the_wheel_by_a_path_of_ours(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "mödel's wheel")
    found = find_triton({"TWINSHELF_TRITON_ENV": str(wheel), "PATH": "/somewhere"})
    environment = found.make_environment(tmp_path)
    link = tmp_path / "environment"
    assert (environment["VIRTUAL_ENV"], environment["PATH"].split(":")[0]) == (
        str(link),
        str(link / "bin"),
    )
    assert link.resolve() == wheel


@pytest.mark.parametrize("has_cuda", [True, False])
def test_gpus_are_hidden_from_an_onnxruntime_that_cannot_use_them(
    tmp_path: Path, has_cuda: bool
) -> None:
    wheel = write_wheel(tmp_path / "wheel", has_cuda=has_cuda)

    environment = find_triton({"TWINSHELF_TRITON_ENV": str(wheel), "PATH": ""}).environment

    assert ("CUDA_VISIBLE_DEVICES" not in environment) == has_cuda


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"packages": {"numpy": "2.1.0"}}, "numpy 2.1.0: under numpy 2 .* wrong tensors"),
        ({"packages": {"nvidia-pytriton": None}}, "lacks nvidia-pytriton: run `make setup`"),
        ({"packages": {"onnxruntime": None}}, "lacks onnxruntime"),
        ({"python": "3.99"}, "no Python stub for Python 3.99, only for 3.11"),
    ],
)
def test_an_unfit_environment_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    wheel = write_wheel(tmp_path / "wheel", **changes)

    with pytest.raises(TritonNotFoundError, match=message):
        find_triton({"TWINSHELF_TRITON_ENV": str(wheel), "PATH": ""})


def test_no_server_at_all_names_the_command_that_installs_one(tmp_path: Path) -> None:
    with pytest.raises(TritonNotFoundError, match="make setup"):
        find_triton({"TWINSHELF_TRITON_ENV": str(tmp_path / "absent"), "PATH": ""})


def test_a_stub_without_its_libpython_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "wheel")
    stub = next(wheel.rglob("triton_python_backend_stub"))
    write_program(stub, "echo 'error while loading shared libraries: libpython3.11.so' >&2; exit 1")

    with pytest.raises(TritonNotFoundError, match=r"does not start: .*libpython3\.11\.so"):
        find_triton({"TWINSHELF_TRITON_ENV": str(wheel), "PATH": ""})


def test_a_python_that_does_not_run_is_named(tmp_path: Path) -> None:
    write_program(tmp_path / "bin" / "python", "echo broken >&2; exit 3")

    with pytest.raises(TritonNotFoundError, match=r"bin/python does not run: broken"):
        find_triton({"TWINSHELF_TRITON_ENV": str(tmp_path), "PATH": ""})
