"""The implementations of the catalogue that its tests run on; a new one joins `open_catalogue`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.index.graph import IndexConfig
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.milvus.upkeep import MilvusConfig
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue

OpenCatalogue = Callable[[], Catalogue]
CONFIG = {
    "sqlite_exact": IndexConfig(slot_count=2),
    # The graph is searched, not the vectors one by one, and it is merged often.
    "sqlite_graph": IndexConfig(
        slot_count=2,
        exact_limit=0,
        scanned_per_found=0,
        churn_share=0.1,
        churn_floor=20,
        merge_floor=50,
    ),
}
# One process writes on a quick machine: a change need not be old to be told.
MILVUS = MilvusConfig(look_interval_s=0.1, settle_s=0.05)
ENGINES = [
    *CONFIG,
    pytest.param("milvus_server", marks=pytest.mark.milvus),
    pytest.param("milvus_lite", marks=pytest.mark.milvus),
]


@pytest.fixture(params=ENGINES)
def open_catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> OpenCatalogue:
    """Opens the catalogue of this test, again after it was closed."""
    if request.param in CONFIG:
        config = CONFIG[request.param]
        return lambda: SqliteCatalogue(tmp_path, reader_count=2, config=config)
    text = f"milvus-lite://{tmp_path}/catalogue.db"
    if request.param == "milvus_server":
        text = request.getfixturevalue("milvus_place")
    address = MilvusAddress.parse(text)
    assert address is not None
    return lambda: MilvusCatalogue(address, reader_count=2, config=MILVUS)
