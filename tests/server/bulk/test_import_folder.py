"""The folder that Milvus reads: how it is named, to us and to Milvus, and that nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinshelf.server.bulk.import_folder import ImportFolder
from twinshelf.server.catalogue.milvus.import_task import BulkImportError


def test_a_part_of_the_folder_is_removed_after_a_failure(tmp_path: Path) -> None:
    folder = ImportFolder.parse(str(tmp_path))
    with pytest.raises(BulkImportError), folder.own_part() as part:
        (tmp_path / Path(part.path).name / "left.parquet").write_bytes(b"rows")
        raise BulkImportError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "path", "seen"),
    [
        ("/data/imports/", "/data/imports", "/data/imports/rows.parquet"),
        ("file:///data/imports", "/data/imports", "/data/imports/rows.parquet"),
        ("s3://shop/milvus/in?region=eu-west-1", "shop/milvus/in", "milvus/in/rows.parquet"),
        ("s3://shop?region=eu-west-1", "shop", "rows.parquet"),
    ],
)
def test_milvus_is_told_a_path_or_what_follows_the_bucket(text: str, path: str, seen: str) -> None:
    parsed = ImportFolder.parse(text)
    assert parsed.path == path
    assert parsed.seen_by_milvus(f"{path}/rows.parquet") == seen


@pytest.mark.parametrize("text", ["hdfs://host/imports", "s3://", "s3://shop?colour=red"])
def test_what_is_no_folder_that_milvus_reads_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--import-folder"):
        ImportFolder.parse(text)
