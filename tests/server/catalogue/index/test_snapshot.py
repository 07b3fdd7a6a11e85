"""What a snapshot of the index writes to its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.products import CONTRACT
from twinshelf.server.catalogue.disk_room import FULL_DISK_BYTES
from twinshelf.server.catalogue.index.graph import IndexConfig
from twinshelf.server.catalogue.index.segment import Segment
from twinshelf.server.catalogue.index.snapshot import SnapshotFolder
from twinshelf.server.catalogue.product_record import VectorTable
from twinshelf.server.encoders.modalities import Pattern

COUNT = 300


@pytest.mark.parametrize("exact_limit", [0, COUNT])
def test_what_the_disk_has_no_room_for_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact_limit: int
) -> None:
    config = IndexConfig(exact_limit=exact_limit)
    folder = SnapshotFolder(tmp_path, catalogue_id="c", contract=CONTRACT, config=config)
    vectors = np.random.default_rng(0).normal(size=(COUNT, CONTRACT.dimension))
    columns = np.ones((3, COUNT), dtype=np.int64)
    table = VectorTable(
        product_numbers=np.arange(COUNT, dtype=np.int64),
        vector_versions=columns[0],
        checksums=columns[1],
        vectors=vectors.astype(np.float16),
    )
    pieces = [(Segment(table, None, config, is_stored=False), np.arange(COUNT))]

    def write() -> int:
        """Returns the bytes that were written."""
        assert folder.write_segment(Pattern.BOTH, pieces, 1) is not None
        return sum(path.stat().st_size for path in folder.path.iterdir())

    written_bytes = write()
    shutil.rmtree(folder.path)
    usage = shutil.disk_usage(tmp_path)
    full_bytes = FULL_DISK_BYTES
    # What is surely too little; and room for all, which must not be refused: a graph that several
    # threads build is some links larger at times.
    for free_bytes, is_written in ((0.9 * written_bytes, False), (1.05 * written_bytes, True)):
        free = usage._replace(free=int(free_bytes) + full_bytes)
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: free)
        if is_written:
            assert write() < 1.05 * written_bytes
        else:
            with pytest.raises(OSError, match="No space left"):
                write()
            assert not list(folder.path.iterdir())
