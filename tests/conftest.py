"""The order of the tests: the longest first, so that no process waits for the other."""

from __future__ import annotations

import pytest

LONGEST = (
    "tests/test_readme.py",
    "tests/export/",
    "tests/end_to_end/",
    "tests/benchmarks/quality/",
)
# Each publishes an encoder once, for the process that runs it.
WHOLE_FOLDERS = ("tests/export/", "tests/end_to_end/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the longest begin, all else keeps its order; a file, or a folder, stays together."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    for item in items:
        folder = next(filter(item.nodeid.startswith, WHOLE_FOLDERS), None)
        item.add_marker(pytest.mark.xdist_group(folder or item.nodeid.split("::")[0]))
