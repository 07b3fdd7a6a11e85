"""The environment of a run: what it ran on and with, so that its figures can be explained later.

Nothing that names a machine, a person or a path is recorded.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from twinshelf.training.files import write_json

ENVIRONMENT = "environment.json"
PACKAGES = (
    "jsonargparse", "lightning", "numpy", "onnxruntime-gpu", "pandas", "pillow", "pyarrow",
    "pytorch-metric-learning", "scikit-learn", "timm", "tokenizers", "torch", "torchvision",
    "transformers", "usearch",
)  # fmt: skip
GIT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a step of a run ran on and with.

    Attributes:
        recorded_at: Time in UTC, ISO 8601, to the second.
        git_revision: Commit of the sources; empty outside of a git checkout.
        has_uncommitted_changes: Whether tracked files differed from that commit.
        python_version: Version of Python.
        platform: Operating system and architecture.
        cpu_count: Processors that the step might use.
        gpus: Names of the GPUs.
        cuda_version: CUDA that torch was built for; empty for none.
        packages: Package to version; a package that is not installed is absent.
    """

    recorded_at: str
    git_revision: str
    has_uncommitted_changes: bool
    python_version: str
    platform: str
    cpu_count: int
    gpus: tuple[str, ...]
    cuda_version: str
    packages: Mapping[str, str]


def record_environment(folder: Path, step: str = "training") -> Path:
    """Writes what this process runs on to environment.json, beside what earlier steps wrote.

    Args:
        folder: Folder of the run; made when missing.
        step: What is running, such as "training" or "evaluation"; it replaces an earlier entry of
            the same step.

    Returns:
        The file.
    """
    folder = Path(folder)
    path = folder / ENVIRONMENT
    steps = {**read_environments(folder), step: asdict(describe_environment())}
    write_json(path, steps)
    return path


def read_environments(folder: Path) -> dict[str, dict[str, object]]:
    """Reads what `record_environment` wrote: step to its values; empty when nothing readable is."""
    try:
        steps = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a torn record must not stop a training
    return steps if isinstance(steps, dict) else {}


def describe_environment() -> Environment:
    """Looks at this process, this machine and the sources."""
    revision = _git("rev-parse", "HEAD")
    gpu_count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return Environment(
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        git_revision=revision,
        has_uncommitted_changes=bool(
            revision and _git("status", "--porcelain", "--untracked-files=no")
        ),
        python_version=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu_count=_cpu_count(),
        gpus=tuple(torch.cuda.get_device_name(number) for number in range(gpu_count)),
        cuda_version=torch.version.cuda or "",
        packages={name: found for name in PACKAGES if (found := _version(name))},
    )


def _cpu_count() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    """Returns what git says of the sources; empty without git or outside of a checkout."""
    try:
        answer = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
