"""The order of the tests: the longest first, so that no process waits for the other."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the longest begin; all else keeps its order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
