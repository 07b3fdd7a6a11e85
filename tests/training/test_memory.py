"""What a process keeps of freed memory; each in a process of its own, as it holds for good."""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import sys
import torch
from training.memory import keep_freed_memory

def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resident_mib()
activation = torch.ones(64 * 2**20)  # 256 MiB
del activation
print(resident_mib() - before)
"""


def kept_mib(way: str) -> float:
    command = [sys.executable, "-c", PROGRAM, way]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no mallopt here")
def test_a_large_tensor_is_given_back_by_default_and_kept_when_told() -> None:
    assert kept_mib("default") < 100
    assert kept_mib("keep") > 200
