"""The engines that keep groups; a new one joins `engine`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.catalogue.groups.planted import Engine


@pytest.fixture(params=["sqlite", pytest.param("milvus", marks=pytest.mark.milvus)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """What keeps the catalogues of this test."""
    if request.param == "sqlite":
        return Engine(place=str(tmp_path))
    return Engine(place=request.getfixturevalue("milvus_place"))
