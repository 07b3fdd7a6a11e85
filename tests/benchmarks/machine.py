"""What a benchmark ran on: without it no figure means anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

# Instructions that decide how fast 8-bit and 16-bit arithmetic is.
FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
PACKAGES = ("numpy", "torch", "onnxruntime-gpu", "usearch", "grpcio", "pillow", "tokenizers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine at the start of a benchmark.

    Attributes:
        cpu: Name of its processor.
        core_count: Cores that this process may use.
        flags: Those of `FLAGS` that it has.
        gpus: Names of its NVIDIA GPUs.
        memory_gib: Its memory, GiB.
        load: Mean count of waiting and running processes in the last minute.
        versions: Version of each package that took part.
    """

    cpu: str
    core_count: int
    flags: tuple[str, ...]
    gpus: tuple[str, ...]
    memory_gib: float
    load: float
    versions: dict[str, str]

    def __str__(self) -> str:
        """Returns two lines for a person."""
        versions = ", ".join(f"{name} {each}" for name, each in self.versions.items())
        return (
            f"{self.cpu}, {self.core_count} cores, {self.memory_gib:.0f} GiB, "
            f"{', '.join((' '.join(self.flags) or 'no wide instructions', *self.gpus))}; "
            f"load {self.load:.1f}\n{versions}"
        )


def describe_machine(packages: Sequence[str] = ()) -> Machine:
    """Describes this machine.

    Args:
        packages: Further packages that take part; those that are missing are left out.
    """
    cpu_info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    fields: dict[str, str] = {}
    for line in cpu_info:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    present = set(fields.get("flags", "").split())
    return Machine(
        cpu=fields.get("model name", "unknown processor"),
        core_count=len(os.sched_getaffinity(0)),
        flags=tuple(flag for flag in FLAGS if flag in present),
        gpus=_gpus(),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        load=round(os.getloadavg()[0], 2),
        versions=_versions((*PACKAGES, *packages)),
    )


def _gpus() -> tuple[str, ...]:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    if not shutil.which(command[0]):
        return ()
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return tuple(found.stdout.splitlines()) if found.returncode == 0 else ()


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
