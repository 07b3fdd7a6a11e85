"""The order of the tests, the longest first, so that no process waits for the other; one Milvus."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from tests.milvus.local_server import LocalServer

LONGEST = (
    "tests/test_readme.py",
    "tests/export/",
    "tests/end_to_end/",
    "tests/benchmarks/quality/",
)
# Each publishes an encoder once, for the process that runs it.
WHOLE_FOLDERS = ("tests/export/", "tests/end_to_end/")


class FolderScheduling(LoadFileScheduling):
    """Gives a file, or a whole folder, to one process."""

    def _split_scope(self, nodeid: str) -> str:
        folder = next(filter(nodeid.startswith, WHOLE_FOLDERS), None)
        return folder or super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)  # of xdist, which runs that do without do not know
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FolderScheduling:
    """Shares the tests out among the processes."""
    return FolderScheduling(config, log)


def pytest_sessionstart() -> None:
    """Looks for no garbage until the tests are collected: what is imported stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Looks for garbage again."""
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the longest begin; all else keeps its order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(scope="session")
def local_milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A real Milvus, which runs as long as the tests do; one port of it is fixed, so all share it.

    Who kills it starts it again.
    """
    from tests.milvus.local_server import LocalServer

    server = LocalServer(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def milvus_place(local_milvus: LocalServer) -> Iterator[str]:
    """Where a catalogue of this test alone may lie on the real Milvus, `milvus://HOST:PORT/NAME`.

    What was made there goes afterwards: a Milvus that holds the collections of a hundred tests
    takes minutes to start again.
    """
    name = f"test_{uuid4().hex}"
    yield f"milvus://{local_milvus.address}/{name}"
    local_milvus.drop_collections(name)
