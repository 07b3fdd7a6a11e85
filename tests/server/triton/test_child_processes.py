"""Tests of looking at the processes below another one."""

from __future__ import annotations

import os
import subprocess
import sys

from twinshelf.server.triton.child_processes import children, is_alive


def test_a_child_is_listed_and_is_alive_until_it_ends() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert child.pid in children(os.getpid())
    assert is_alive(child.pid)

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
    assert child.pid in children(os.getpid())
    assert not is_alive(child.pid)

    child.communicate()
    assert child.pid not in children(os.getpid())
    assert not is_alive(child.pid)
