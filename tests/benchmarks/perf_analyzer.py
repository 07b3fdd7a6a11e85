"""perf_analyzer: where it comes from, how it is run, what it measured."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("perf_analyzer.lock")
ENVIRONMENT = ROOT / ".venv-perf"
TRITON_ENVIRONMENT = ROOT / ".venv-triton"
# What the binary of the wheel wants, and how the files are called that nvidia-pytriton bundles.
LIBRARIES = {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}
INTERVAL_MS = 2000
TRIAL_COUNT = 6
# First three windows that differ by so much at most; then, on a machine that does other things as
# well, any three windows: figures that are marked are better than none.
STEADY_PERCENT, ANY_PERCENT = 20, 10_000
RUN_TIMEOUT_S = 120.0


UNSTEADY = "Failed to obtain stable measurement"


class PerfError(Exception):
    """perf_analyzer cannot be had or failed; the message says why, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfAnalyzer:
    """A perf_analyzer that runs here.

    Attributes:
        binary: Its path.
        variables: Environment variables that it needs.
    """

    binary: Path
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one run measured.

    Attributes:
        model: Name of the model.
        concurrency: Requests under way at a time.
        throughput: Inferences per second.
        p50_ms: Median latency, milliseconds.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        is_steady: Whether three windows in a row agreed.
    """

    model: str
    concurrency: int
    throughput: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    is_steady: bool = True


def find_perf_analyzer() -> PerfAnalyzer:
    """Finds perf_analyzer: on PATH, else from the locked wheel, which is installed when missing.

    Raises:
        PerfError: If there is none that runs.
    """
    if found := shutil.which("perf_analyzer"):
        return _checked(PerfAnalyzer(binary=Path(found)))
    binary = ENVIRONMENT / "bin" / "perf_analyzer"
    if not binary.is_file():
        _install()
    binary.chmod(0o755)
    folder = _link_libraries()
    variables = {"LD_LIBRARY_PATH": os.pathsep.join([str(folder), *_library_path()])}
    return _checked(PerfAnalyzer(binary=binary, variables=variables))


def measure(
    analyzer: PerfAnalyzer, *, model: str, concurrency: int, address: str, data: Path, output: Path
) -> Measurement:
    """Loads one model with requests until the figures are stable, at most for some seconds.

    Args:
        analyzer: What to run.
        model: Name of the model.
        concurrency: Requests under way at a time.
        address: Triton's gRPC address.
        data: Input file.
        output: CSV file that perf_analyzer writes; its log lies beside it.

    Raises:
        PerfError: If it fails; the end of its output is in the message.
    """
    command = [str(analyzer.binary), "-m", model, "-u", address, "-i", "grpc"]
    command += ["--input-data", str(data), "--concurrency-range", str(concurrency)]
    command += ["--measurement-interval", str(INTERVAL_MS), "--max-trials", str(TRIAL_COUNT)]
    command += ["-f", str(output), "--stability-percentage"]
    # A proxy for the web is not asked for a server that is ours.
    variables = {**analyzer.variables, "no_grpc_proxy": address.rpartition(":")[0]}
    output.unlink(missing_ok=True)
    is_steady = True
    try:
        text = _execute([*command, str(STEADY_PERCENT)], variables)
    except PerfError as error:
        if UNSTEADY not in str(error):
            raise
        is_steady = False
        text = _execute([*command, str(ANY_PERCENT)], variables)
    output.with_suffix(".log").write_text(text, encoding="utf-8")
    if not output.is_file():
        raise PerfError(f"perf_analyzer measured nothing of {model}; it said:\n{_tail(text)}")
    return replace(read_measurement(output, model), is_steady=is_steady)


def read_measurement(path: Path, model: str) -> Measurement:
    """Reads what perf_analyzer wrote of one model at one concurrency.

    Args:
        path: Its CSV file.
        model: Name of the model.

    Raises:
        PerfError: If the file does not hold one measurement.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        (row,) = rows
        return Measurement(
            model=model,
            concurrency=int(row["Concurrency"]),
            throughput=float(row["Inferences/Second"]),
            p50_ms=float(row["p50 latency"]) / 1000,
            p95_ms=float(row["p95 latency"]) / 1000,
            p99_ms=float(row["p99 latency"]) / 1000,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PerfError(f"{path} is not what perf_analyzer 2.50 writes: {error!r}") from error


def _install() -> None:
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath]))
    if uv is None:
        raise PerfError("there is no uv beside this Python: run `make setup`")
    python = str(ENVIRONMENT / "bin" / "python")
    index = os.environ.get("PIP_INDEX_URL")
    variables = (
        {"UV_DEFAULT_INDEX": index} if index and "UV_DEFAULT_INDEX" not in os.environ else {}
    )
    for arguments in (
        ["venv", "--quiet", "--allow-existing", "--python", sys.executable, str(ENVIRONMENT)],
        ["pip", "install", "--quiet", "--python", python, "--no-deps", "--require-hashes"]
        + ["-r", str(LOCK)],
    ):
        _execute([uv, *arguments], variables)


def _link_libraries() -> Path:
    """Gives the bundled libraries the names that the binary asks for; returns their folder."""
    folder = ENVIRONMENT / "libraries"
    folder.mkdir(parents=True, exist_ok=True)
    for name, pattern in LIBRARIES.items():
        bundled = sorted(
            TRITON_ENVIRONMENT.glob(f"lib/python3*/site-packages/nvidia_pytriton.libs/{pattern}")
        )
        link = folder / name
        link.unlink(missing_ok=True)
        # Without a bundled one, the system's may do.
        if bundled:
            link.symlink_to(bundled[0])
    return folder


def _library_path() -> list[str]:
    return [part for part in (os.environ.get("LD_LIBRARY_PATH"),) if part]


def _checked(analyzer: PerfAnalyzer) -> PerfAnalyzer:
    try:
        _execute([str(analyzer.binary), "--version"], analyzer.variables)
    except PerfError as error:
        raise PerfError(
            f"{analyzer.binary} does not run here. It needs glibc 2.35 and the libraries that "
            f"`make setup` puts into .venv-triton. {error}"
        ) from error
    return analyzer


def _execute(command: list[str], variables: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
            timeout=RUN_TIMEOUT_S,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise PerfError(f"{command[0]} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise PerfError(f"{command[0]} did not end within {RUN_TIMEOUT_S:.0f} s") from None
    if done.returncode != 0:
        raise PerfError(
            f"{' '.join(command)}\nended with status {done.returncode} and said:\n"
            f"{_tail(done.stdout)}"
        )
    return done.stdout


def _tail(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-15:])
