"""What a check of the whole file leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.products import new_product, random_embedding
from twinshelf.server.catalogue.one_machine.backup import back_up
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.catalogue.rows.file_guard import lock_folder
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.catalogue.rows.schema import CatalogueFileError

SIZE_BYTES = 2_000_000


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CatalogueFileError, match="no catalogue can be kept in .*/file/a/b: Not a"):
        lock_folder(tmp_path / "file" / "a" / "b")


@pytest.mark.parametrize(
    "read",
    [
        lambda store: store.guard.check(),
        lambda store: back_up(store.path, store.path.with_name("copy.sqlite")),
    ],
)
def test_no_write_waits_for_what_was_written_beside_a_long_read(
    tmp_path: Path, read: Callable[[ProductStore], object]
) -> None:
    store = ProductStore(tmp_path / "catalogue.sqlite")
    record = ProductRecord(product_id="p", description="x" * SIZE_BYTES)
    with store.transaction():
        store.upsert(new_product("p", random_embedding(np.random.default_rng(0)), record=record))
    assert store.path.stat().st_size < SIZE_BYTES
    read(store)
    assert store.path.stat().st_size > SIZE_BYTES
    assert store.guard.find_problem() is None
    store.close()
