"""The implementations of the catalogue that its tests run on; a new one joins `open_catalogue`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.graph import IndexSettings
from twinshelf.server.catalogue.sqlite_catalogue import SqliteCatalogue

OpenCatalogue = Callable[[], Catalogue]
SETTINGS = {
    "sqlite_exact": IndexSettings(slot_count=2),
    # The graph is searched, not the vectors one by one, and it is merged often.
    "sqlite_graph": IndexSettings(
        slot_count=2,
        exact_limit=0,
        scanned_per_found=0,
        churn_share=0.1,
        churn_floor=20,
        merge_floor=50,
    ),
}


@pytest.fixture(params=SETTINGS)
def open_catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> OpenCatalogue:
    """Opens the catalogue of this test, again after it was closed."""
    return lambda: SqliteCatalogue(tmp_path, reader_count=2, settings=SETTINGS[request.param])
