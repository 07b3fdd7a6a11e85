"""The environment of a run: what it ran on and with, so that its figures can be explained later.

Nothing that names a machine, a person or a path is recorded.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

from twinshelf.training.files import write_json

ENVIRONMENT = "environment.json"
PACKAGES = (
    "jsonargparse", "lightning", "numpy", "onnxruntime-gpu", "pandas", "pillow", "pyarrow",
    "pytorch-metric-learning", "scikit-learn", "timm", "tokenizers", "torch", "torchvision",
    "transformers", "usearch",
)  # fmt: skip
GIT_TIMEOUT_S = 10.0


def record_environment(folder: Path, step: str = "training") -> Path:
    """Writes what this process runs on to environment.json, beside what earlier steps wrote.

    Args:
        folder: Folder of the run; made when missing.
        step: What is running, such as "training" or "evaluation"; it replaces an earlier entry of
            the same step.

    Returns:
        The file.
    """
    path = folder / ENVIRONMENT
    write_json(path, {**read_environments(folder), step: describe_environment()})
    return path


def read_environments(folder: Path) -> dict[str, dict[str, object]]:
    """Reads what `record_environment` wrote: step to its values; empty when nothing readable is."""
    try:
        steps = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # a torn record must not stop a training
    return steps if isinstance(steps, dict) else {}


def describe_environment() -> dict[str, Any]:
    """Looks at this process, this machine and the sources.

    Returns:
        recorded_at: time in UTC, ISO 8601, to the second; git_revision: commit of the sources,
        empty outside of a git checkout; has_uncommitted_changes: whether tracked files differed
        from it; python_version; platform; cpu_count: processors that the step may use; gpus: their
        names; cuda_version: CUDA that torch was built for, empty for none; packages: name to
        version, without those that are not installed.
    """
    revision = _git("rev-parse", "HEAD")
    gpu_count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    installed = {each.name.lower().replace("_", "-"): each.version for each in distributions()}
    return {
        "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_revision": revision,
        "has_uncommitted_changes": bool(
            revision and _git("status", "--porcelain", "--untracked-files=no")
        ),
        "python_version": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_count": len(os.sched_getaffinity(0)),
        "gpus": [torch.cuda.get_device_name(number) for number in range(gpu_count)],
        "cuda_version": torch.version.cuda or "",
        "packages": {name: installed[name] for name in PACKAGES if name in installed},
    }


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
