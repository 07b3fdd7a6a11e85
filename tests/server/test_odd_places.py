"""Triton and the service from a checkout in an odd place, and from two at once on one machine."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.model_repository.tiny_repository import publish_tiny_version
from tests.soak.deployment import PROJECT, Deployment, is_serving
from tests.soak.kserve_calls import answering_models

pytestmark = [pytest.mark.triton, pytest.mark.slow]

TIMEOUT_S = 120
# Root may write anywhere, but for what is taken from all that it starts (CAP_DAC_OVERRIDE).
AS_OTHERS = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)
os.execv(sys.argv[1], sys.argv[1:])
"""
MATCH = """
import grpc, os
from twinshelf.v1 import matching_service_pb2 as messages, matching_service_pb2_grpc, product_pb2
with grpc.insecure_channel(os.environ["TWINSHELF_ADDRESS"]) as channel:
    offer = product_pb2.Offer(title="red tea")
    request = messages.MatchProductRequest(offer=offer, match_count=1)
    stub = matching_service_pb2_grpc.MatchingServiceStub(channel)
    answer = stub.MatchProduct(request, timeout=60)
    print("answered by", answer.encoder.digest)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the code and of models that nobody may write to, reached by a link."""
    folder = tmp_path_factory.mktemp("odd")
    place = folder / "My Projects" / ("mödel's " * 12) / ("x" * 120)
    for part in ("protos", "server"):
        leave_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / part, place / part, symlinks=True, ignore=leave_out)
    publish_tiny_version(place / "model_repository")
    (place / ".venv-triton").symlink_to((PROJECT / ".venv-triton").resolve())
    (folder / "link").symlink_to(place)
    made = [place, *(path for path in place.rglob("*") if not path.is_symlink())]
    for path in made:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    assert len(str(place)) > 200
    yield folder / "link"
    for path in made:
        path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR)


def run_in(checkout: Path, *command: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command as somebody who may not write there, and who has no HOME."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(checkout / "protos"),
        "TMPDIR": str(temporary),
    }
    return subprocess.run(
        [sys.executable, "-c", AS_OTHERS, sys.executable, *command],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def test_a_checkout_that_nobody_may_write_to_serves_what_is_kept_elsewhere(
    checkout: Path, tmp_path: Path
) -> None:
    before = sorted(checkout.resolve().rglob("*"))
    data = [*("--catalogue", str(tmp_path / "catalogue")), *("--logs", str(tmp_path / "logs"))]
    serve = ["-m", "twinshelf.server.up", "--free-ports", *data]

    ended = run_in(checkout, *serve, "--", sys.executable, "-c", MATCH, temporary=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert "answered by sha256:" in ended.stdout
    assert sorted(checkout.resolve().rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["twinshelf.server", "--address", "127.0.0.1:0", "--metrics-address="],
            r"no catalogue can be kept in \.cache/catalogue: Permission denied",
        ),
        (["twinshelf.server.up", "--free-ports"], "error: .*Permission denied: '.cache'"),
    ],
)
def test_where_nothing_may_be_kept_a_sentence_says_so(
    checkout: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    ended = run_in(checkout, "-m", *arguments, temporary=tmp_path)

    assert ended.returncode == 1
    assert re.search(sentence, ended.stderr), ended.stderr
    assert "Traceback" not in ended.stderr


def shared_memory(deployment: Deployment) -> set[str]:
    """Returns the regions of shared memory that the processes of a Triton have open."""
    assert deployment.launcher is not None
    maps = [
        Path(f"/proc/{process.pid}/maps").read_text("utf-8")
        for process in deployment.launcher.children(recursive=True)
    ]
    return set(re.findall(r" /dev/shm/(\S+)", "".join(maps)))


def sockets(deployment: Deployment) -> set[tuple[str, int]]:
    """Returns where a Triton and its service listen."""
    assert deployment.launcher is not None and deployment.service is not None
    family = [*deployment.launcher.children(recursive=True), deployment.service]
    listening = [each for process in family for each in process.net_connections("inet")]
    places = [each.laddr for each in listening if each.status == psutil.CONN_LISTEN]
    return {(place.ip, place.port) for place in places}


def test_two_checkouts_serve_at_once_and_share_nothing(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    repository = publish_tiny_version(tmp_path / "model_repository").repository
    with (
        Deployment(tmp_path / "one", repository=repository) as one,
        Deployment(
            tmp_path / "other", repository=checkout / "model_repository", checkout=checkout
        ) as other,
    ):
        for owned in (shared_memory, sockets):
            assert owned(one) and owned(other)
            assert not owned(one) & owned(other)
        folders = set(tmp_path.glob("twinshelf-triton-*"))
        assert len(folders) == 2

        # What one leaves behind is no concern of the other, and what starts anew clears it away.
        assert one.launcher is not None
        family = one.launcher.children(recursive=True)
        one.launcher.kill()
        one.launcher.wait()
        psutil.wait_procs(family, TIMEOUT_S)
        one.start_triton()

        now = set(tmp_path.glob("twinshelf-triton-*"))
        assert len(now) == 2 and len(now & folders) == 1
        for each in (one, other):
            assert is_serving(each.address, TIMEOUT_S)
            assert all(answering_models(each.triton_address).values())
    assert not list(tmp_path.glob("twinshelf-triton-*"))
