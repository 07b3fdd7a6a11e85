"""The order of the tests: the longest files first, so that no process waits for the other."""

from __future__ import annotations

import pytest

LONGEST = (
    "tests/test_readme.py",
    "tests/export/",
    "tests/end_to_end/",
    "tests/benchmarks/quality/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the longest files begin; all else keeps its order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
