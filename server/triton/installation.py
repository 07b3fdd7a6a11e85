"""Where `tritonserver` is on this machine, and what it needs to run there.

An installed server (environment variable, then PATH) is used as it is, with its native ONNX Runtime
backend. Else the server of the `nvidia-pytriton` wheel is used, which has no such backend: it gets
ours, in a private folder of backends put together for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

TRITONSERVER_VARIABLE: Final = "TWINSHELF_TRITONSERVER"
ENVIRONMENT_VARIABLE: Final = "TWINSHELF_TRITON_ENV"
VIRTUAL_ENVIRONMENT: Final = "VIRTUAL_ENV"
DEFAULT_ENVIRONMENT: Final = Path(__file__).resolve().parents[2] / ".venv-triton"
OUR_BACKENDS: Final = Path(__file__).resolve().parents[1] / "triton_backends"

# Large tensors come and go with every batch: glibc's defaults give their pages back each time.
MALLOC_SETTINGS: Final = {
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TOP_PAD_": "16777216",
}

# Run by the Python of Triton's environment.
_DESCRIBE: Final = """
import json, pathlib, sys, sysconfig
from importlib import metadata

def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

site = sysconfig.get_path("purelib")
capi = pathlib.Path(site, "onnxruntime", "capi")
json.dump({
    "python": "%d.%d" % sys.version_info[:2],
    "site_packages": site,
    "libraries": [sysconfig.get_config_var("LIBDIR") or "", sys.base_prefix + "/lib"],
    "packages": {n: version(n) for n in ("numpy", "onnxruntime", "onnxruntime-gpu", "pillow",
                                         "tokenizers", "nvidia-pytriton")},
    "has_cuda": (capi / "libonnxruntime_providers_cuda.so").exists(),
}, sys.stdout)
"""


class TritonNotFoundError(RuntimeError):
    """No usable `tritonserver`; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonInstallation:
    """A `tritonserver` and what it needs.

    Attributes:
        binary: The server program.
        backends: Its folder of backends; None when one must be put together for it.
        environment: Environment variables to set for it.
        stub: The Python stub that goes into a folder of backends put together for it.
        python_backend: The wheel's own Python backend, for the same purpose.
    """

    binary: Path
    backends: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    stub: Path | None = None
    python_backend: Path | None = None

    @property
    def has_our_backend(self) -> bool:
        """Whether ours runs the ONNX models, for want of the native one."""
        return self.backends is None

    @property
    def full_environment(self) -> dict[str, str]:
        """Environment variables of its process: those of this one, and its own."""
        return {**os.environ, **self.environment}

    def make_environment(self, folder: Path) -> dict[str, str]:
        """Returns the variables of its process, by which a link below `folder` leads to the wheel.

        The stub of Python 3.12 ends where the path of its packages has letters beyond ASCII.
        """
        if VIRTUAL_ENVIRONMENT not in self.environment:
            return self.full_environment
        link = folder / "environment"
        link.symlink_to(Path(self.environment[VIRTUAL_ENVIRONMENT]).absolute())
        path = f"{link / 'bin'}{os.pathsep}{self.environment['PATH']}"
        return {**self.full_environment, VIRTUAL_ENVIRONMENT: str(link), "PATH": path}

    def make_backends(self, folder: Path) -> Path:
        """Returns a folder of backends: the server's own, or one put together below `folder`.

        Files are copied (1 MB each) where links would do for most: for a backend in Python the
        server resolves links, and refuses a library that lies outside its folder. The path of the
        original may also have letters that the server cannot pass on.
        """
        if self.backends is not None:
            return self.backends
        if self.python_backend is None or self.stub is None:
            raise TritonNotFoundError(f"{self.binary} has no folder of backends")
        backends = folder / "backends"
        shutil.copytree(self.python_backend, backends / "python")
        shutil.copy2(self.stub, backends / "python" / self.stub.name)
        shutil.copytree(
            OUR_BACKENDS / "onnxruntime",
            backends / "onnxruntime",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        return backends


def find_triton(environment: Mapping[str, str] | None = None) -> TritonInstallation:
    """Finds `tritonserver`: by TWINSHELF_TRITONSERVER, on PATH, then in the wheel.

    Args:
        environment: Environment variables to look in; those of this process by default.

    Raises:
        TritonNotFoundError: If there is none, or the one found cannot serve ONNX models.
    """
    variables = os.environ if environment is None else environment
    if stated := variables.get(TRITONSERVER_VARIABLE):
        binary = Path(stated)
        if not os.access(binary, os.X_OK) or binary.is_dir():
            raise TritonNotFoundError(f"{TRITONSERVER_VARIABLE}={stated} is not a program")
        return _installed(binary)
    if found := shutil.which("tritonserver", path=variables.get("PATH", "")):
        return _installed(Path(found))
    return _from_wheel(Path(variables.get(ENVIRONMENT_VARIABLE) or DEFAULT_ENVIRONMENT), variables)


def _installed(binary: Path) -> TritonInstallation:
    backends = binary.resolve().parents[1] / "backends"
    if not (backends / "onnxruntime").is_dir():
        raise TritonNotFoundError(
            f"{binary} has no ONNX Runtime backend: expected {backends / 'onnxruntime'}. Point "
            f"{TRITONSERVER_VARIABLE} at a complete server, or unset it and take {binary.name} "
            "off PATH to use the one that `make setup` installs"
        )
    return TritonInstallation(binary=binary, backends=backends)


def _from_wheel(prefix: Path, variables: Mapping[str, str]) -> TritonInstallation:
    description = _describe(prefix)
    _check_packages(prefix, description["packages"])
    site_packages = Path(description["site_packages"])
    server = site_packages / "pytriton" / "tritonserver"
    stubs = server / "python_backend_stubs"
    stub = stubs / description["python"] / "triton_python_backend_stub"
    if not stub.is_file():
        known = sorted(path.name for path in stubs.glob("3.*"))
        raise TritonNotFoundError(
            f"the wheel in {prefix} has no Python stub for Python {description['python']}, "
            f"only for {', '.join(known)}"
        )
    libraries = [str(site_packages / "nvidia_pytriton.libs")]
    libraries += [path for path in description["libraries"] if Path(path).is_dir()]
    libraries += filter(None, [variables.get("LD_LIBRARY_PATH")])
    settings = {
        # The stub takes its site-packages from the environment whose `bin` is first.
        "PATH": f"{prefix / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}",
        VIRTUAL_ENVIRONMENT: str(prefix),
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        # Else the stub reads the path of the environment as ASCII where no locale is set.
        "PYTHONUTF8": "1",
    }
    settings |= {name: variables.get(name, value) for name, value in MALLOC_SETTINGS.items()}
    if not description["has_cuda"]:
        # Else KIND_AUTO becomes KIND_GPU on a machine with a GPU that onnxruntime cannot use.
        settings["CUDA_VISIBLE_DEVICES"] = ""
    _check_stub(stub, settings)
    return TritonInstallation(
        binary=server / "bin" / "tritonserver",
        environment=settings,
        stub=stub,
        python_backend=server / "backends" / "python",
    )


def _describe(prefix: Path) -> dict[str, Any]:
    python = prefix.absolute() / "bin" / "python"
    if not python.exists():
        raise TritonNotFoundError(
            f"no tritonserver: {TRITONSERVER_VARIABLE} is not set, none is on PATH, and there is "
            f"no environment {prefix} (set {ENVIRONMENT_VARIABLE} if it is elsewhere). "
            "Run `make setup` to install it"
        )
    answer = subprocess.run(
        [python, "-I", "-X", "utf8", "-c", _DESCRIBE],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    if answer.returncode != 0:
        raise TritonNotFoundError(
            f"{python} does not run: {answer.stderr.strip()[-500:]}. "
            f"Remove {prefix} and run `make setup`"
        )
    description: dict[str, Any] = json.loads(answer.stdout)
    # As this process spells paths, which may not be in UTF-8.
    description["site_packages"] = os.fsdecode(description["site_packages"].encode())
    return description


def _check_packages(prefix: Path, packages: Mapping[str, str | None]) -> None:
    has_onnxruntime = packages["onnxruntime"] or packages["onnxruntime-gpu"]
    required = ("nvidia-pytriton", "numpy", "pillow", "tokenizers")
    missing = [name for name in required if packages[name] is None]
    missing += [] if has_onnxruntime else ["onnxruntime"]
    if missing:
        raise TritonNotFoundError(f"{prefix} lacks {', '.join(missing)}: run `make setup`")
    if int(str(packages["numpy"]).split(".")[0]) >= 2:
        raise TritonNotFoundError(
            f"{prefix} has numpy {packages['numpy']}: under numpy 2 the wheel's Python stub "
            "returns wrong tensors without an error. Run `make setup` to install numpy 1.26 there"
        )


def _check_stub(stub: Path, settings: Mapping[str, str]) -> None:
    """Asks the loader, which names a missing libpython; Triton would only say that a stub died."""
    answer = subprocess.run(
        [stub], env=dict(settings), capture_output=True, text=True, check=False, timeout=60
    )
    if "error while loading shared libraries" in answer.stderr:
        raise TritonNotFoundError(
            f"Triton's Python stub does not start: {answer.stderr.strip()}. It needs the shared "
            "library of the Python that the environment was made with"
        )
