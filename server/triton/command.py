"""The command line of a `tritonserver` of ours, which nobody can change the models of."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twinshelf.server.triton.repository import config_name
from twinshelf.server.triton.triton_config import TritonConfig

# In-flight requests get this long when the server is told to stop.
_EXIT_TIMEOUT_S: Final = 10
# What no caller of ours needs, and what can load code, read memory or write files.
RESTRICTED: Final = ("model-repository", "shared-memory", "trace", "logging")
RESTRICTED_HEADER: Final = "twinshelf-key"

# Asks the kernel to stop the server when the launcher dies, however that happens, and becomes the
# server. A program of its own because Python code between fork and exec is not safe with threads.
_EXEC_TIED_TO_PARENT: Final = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the launcher died")
# The matching service beside it comes first: it refuses what Triton would only answer too late.
os.nice(4)
os.execv(sys.argv[2], sys.argv[2:])
"""


def server_command(
    config: TritonConfig, *, binary: Path, backends: Path, models: Path, shm_prefix: str
) -> list[str]:
    """Returns the command line of a server.

    Models are loaded once, when it starts: none can be loaded or unloaded later, with whatever key.
    The key to the rest is drawn anew each time and told to nobody.

    Args:
        config: What to serve, and where; every port is stated.
        binary: The server program.
        backends: Folder of backends.
        models: Folder that holds the models to serve, and no other.
        shm_prefix: Prefix of the names of its shared memory.
    """
    restricted = f"{','.join(RESTRICTED)}:{RESTRICTED_HEADER}={secrets.token_hex(16)}"
    command = [
        str(binary),
        f"--model-repository={models}",
        f"--backend-directory={backends}",
        "--model-control-mode=none",
        f"--grpc-restricted-protocol={restricted}",
        f"--http-restricted-api={restricted}",
        f"--grpc-address={config.host_of_grpc}",
        f"--grpc-port={config.grpc_port}",
        f"--http-address={config.host}",
        f"--http-port={config.http_port}",
        f"--metrics-address={config.host}",
        f"--metrics-port={config.metrics_port}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
        f"--exit-timeout-secs={_EXIT_TIMEOUT_S}",
    ]
    if config.trace_url:
        url = f"opentelemetry,url={config.trace_url}"
        traced = ("mode=opentelemetry", "rate=0", "count=-1", "level=TIMESTAMPS", url)
        command += [f"--trace-config={each}" for each in traced]
    if config.version is not None:
        command.append(f"--model-config-name={config_name(config.version)}")
        # A published configuration is complete; completing it would start each model twice.
        command.append("--disable-auto-complete-config")
    return command


def tied_to_this_process(command: Sequence[str]) -> list[str]:
    """Returns a command line that runs another one and ends it when this process dies."""
    return [sys.executable, "-I", "-S", "-c", _EXEC_TIED_TO_PARENT, str(os.getpid()), *command]
