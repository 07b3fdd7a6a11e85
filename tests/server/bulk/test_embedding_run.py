"""What `twinshelf embed` makes of files, in one process."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.server.bulk.bulk_files import (
    BROKEN_PHOTO_ROW,
    EMPTY_ROW,
    ONLY_BROKEN_PHOTO_ROW,
    REPEATED_ROW,
    ROW_COUNT,
    BrokenRunError,
    BulkFiles,
    break_after,
    write_products,
)
from twinshelf.client.commands.row_progress import RowProgress
from twinshelf.client.file_products import photo_bytes
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import USUAL_OPTIONS, ProductFiles
from twinshelf.client.files.rows import ProductFileError
from twinshelf.server.bulk import embedding_run
from twinshelf.server.bulk.embedded_folder import (
    EmbeddedFolderError,
    locked,
    output_name,
    read_whole,
)
from twinshelf.server.bulk.embedded_table import EmbeddedRow, make_table
from twinshelf.server.bulk.workers import room_for_workers, share_of_gpus
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.server.errors import EncoderContractError

BAD_ROWS = {EMPTY_ROW, REPEATED_ROW, ONLY_BROKEN_PHOTO_ROW}


def by_hand(path: Path, encoder: LocalEncoder) -> dict[int, OfferEmbedding]:
    """Embeds the sound rows of a file one by one, by their row numbers."""
    terms = encoder.contract.text_fields
    found = {}
    for row in ProductFiles([path]).rows():
        if not isinstance(row, ProductRow):
            continue
        texts = {"title": row.title, "brand": row.brand}
        text = terms.join(texts | {"attributes": row.attributes}, prefix=terms.passage_prefix)
        image = photo_bytes(row) if row.row_number != BROKEN_PHOTO_ROW else b""
        if text or row.row_number != ONLY_BROKEN_PHOTO_ROW:
            (made,) = encoder.encode_now([EncoderInput(image=image or None, text=text)])
            assert isinstance(made, OfferEmbedding)
            found[row.row_number] = made
    return found


@pytest.mark.slow
def test_embeddings_are_those_of_a_plain_loop(bulk: BulkFiles, encoder: LocalEncoder) -> None:
    bulk.embed()
    expected = by_hand(bulk.folder / "products.csv", encoder)
    rows = bulk.table().to_pylist()
    assert [row["row_number"] for row in rows] == list(range(1, ROW_COUNT + 1))
    assert {row["row_number"] for row in rows if row["error"] is None} == expected.keys()
    for row in rows:
        made = expected.get(row["row_number"])
        for name in ("image", "text"):
            half = getattr(made, name, None)
            if half is None:
                assert row[f"{name}_embedding"] is None
            else:
                stored = np.asarray(row[f"{name}_embedding"], dtype=np.float32)
                # Half precision keeps 11 bits of numbers below 1.
                np.testing.assert_allclose(stored, half, atol=2**-11)


@pytest.mark.slow
def test_a_row_keeps_its_fields_and_names_its_encoder(
    bulk: BulkFiles, encoder: LocalEncoder
) -> None:
    bulk.embed()
    row = bulk.table().to_pylist()[0]
    assert row["product_id"] == "p1"
    assert (row["brand"], row["price"], row["image_uri"]) == ("brand", 1.0, "1.jpg")
    assert row["encoder_digest"] == encoder.contract.digest


@pytest.mark.slow
def test_bad_rows_are_named_and_do_not_stop_the_others(bulk: BulkFiles) -> None:
    report = bulk.embed()
    assert {failure.row_number for failure in report.failures} == BAD_ROWS
    assert all(failure.reason for failure in report.failures)
    assert report.stored_count == ROW_COUNT - len(BAD_ROWS)


@pytest.mark.slow
def test_a_refused_photo_is_left_out_beside_a_text(bulk: BulkFiles) -> None:
    report = bulk.embed()
    row = bulk.table().to_pylist()[BROKEN_PHOTO_ROW - 1]
    assert row["error"] is None and row["image_embedding"] is None
    assert row["text_embedding"] is not None and row["photo_error"]
    assert any(f"p{BROKEN_PHOTO_ROW}" in sentence for sentence in report.findings)


@pytest.mark.slow
def test_a_name_that_is_no_utf_8_stops_nothing(bulk: BulkFiles, encoder: LocalEncoder) -> None:
    path = bulk.folder / os.fsdecode(b"gr\xfcn.csv")
    path.write_text("product_id,title\nm,tea\nn,\n")
    report = bulk.embed(path)
    assert report.stored_count == 1 and len(report.failures) == 1
    failed = EmbeddedRow(row_number=1, error=str(path), photo_error=str(path))
    (row,) = make_table([failed], encoder.contract).to_pylist()
    assert row["error"] == row["photo_error"] == str(bulk.folder / "gr?n.csv")


@pytest.mark.slow
def test_further_photos_are_embedded_when_asked_for(bulk: BulkFiles, encoder: LocalEncoder) -> None:
    path = bulk.folder / "many.csv"
    path.write_text("product_id,title,images\nm,tea,0.jpg|1.jpg|broken.jpg|2.jpg\n")
    bulk.embed(path, reading=replace(USUAL_OPTIONS, photo_count=4))
    (row,) = pq.read_table(bulk.out / output_name(path) / "part-00000.parquet").to_pylist()
    made = encoder.encode_now(
        [
            EncoderInput(image=(bulk.folder / f"{number}.jpg").read_bytes(), text=None)
            for number in (1, 2)
        ]
    )
    for found, each in zip(row["further_image_embeddings"], made, strict=True):
        assert isinstance(each, OfferEmbedding) and each.image is not None
        np.testing.assert_allclose(np.asarray(found, np.float32), each.image, atol=2**-11)
    assert row["photo_error"]


@pytest.mark.slow
def test_a_whole_output_is_passed_over(bulk: BulkFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bulk.embed()
    monkeypatch.delattr(embedding_run, "start_workers")  # nothing can be embedded any more
    again = bulk.embed()
    assert again.failures == first.failures
    assert again.stored_count == again.replaced_count == first.stored_count


@pytest.mark.slow
def test_a_changed_file_is_embedded_again_and_shorter(bulk: BulkFiles) -> None:
    bulk.embed()
    write_products(bulk.folder / "products.csv", row_count=30)
    os.utime(bulk.folder / "products.csv", ns=(1, 1))
    bulk.embed()
    assert bulk.table().num_rows == 30


@pytest.mark.slow
def test_another_encoder_embeds_again(bulk: BulkFiles) -> None:
    bulk.embed(version=1)
    digests = set(bulk.table()["encoder_digest"].to_pylist())
    bulk.embed(version=2)
    assert not digests - {None} & set(bulk.table()["encoder_digest"].to_pylist())


@pytest.mark.slow
def test_a_broken_run_goes_on_at_the_part_it_was_at(
    bulk: BulkFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken, pytest.raises(BrokenRunError):
        broken.setattr(RowProgress, "advance", break_after(90))
        bulk.embed()
    assert read_whole(bulk.output) is None
    first = bulk.output / "part-00000.parquet"
    written_ns = first.stat().st_mtime_ns
    report = bulk.embed()
    assert first.stat().st_mtime_ns == written_ns
    assert bulk.table()["row_number"].to_pylist() == list(range(1, ROW_COUNT + 1))
    assert 0 < report.replaced_count < report.stored_count


@pytest.mark.slow
def test_a_torn_part_is_embedded_again(bulk: BulkFiles) -> None:
    bulk.embed()
    part = bulk.output / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:100])
    (bulk.output / "whole.json").unlink()
    bulk.embed()
    assert bulk.table()["row_number"].to_pylist() == list(range(1, ROW_COUNT + 1))


@pytest.mark.slow
def test_files_of_one_name_have_outputs_of_their_own(bulk: BulkFiles) -> None:
    (bulk.folder / "other").mkdir()
    write_products(bulk.folder / "other" / "products.csv", row_count=5)
    bulk.embed(bulk.folder / "products.csv", bulk.folder / "other" / "products.csv")
    # A run for one of them finds its own, not that of the other.
    bulk.embed(bulk.folder / "other" / "products.csv")
    counts = [whole.row_count for path in bulk.out.iterdir() if (whole := read_whole(path))]
    assert sorted(counts) == [5, ROW_COUNT]


@pytest.mark.parametrize("name", [".", "..", "photos/"])
def test_every_folder_has_an_output_below(
    bulk: BulkFiles, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bulk.folder)
    assert output_name(Path(name)) == output_name(Path(name).resolve())
    assert "/" not in output_name(Path(name)) and output_name(Path(name))[0] not in ".-"


@pytest.mark.parametrize("name", [b"n" * 251 + b".csv", "é".encode() * 127, b"\xe9" * 200])
def test_an_output_has_a_name_that_fits_however_long_that_of_its_file_is(
    tmp_path: Path, name: bytes
) -> None:
    path = tmp_path / os.fsdecode(name)
    (tmp_path / output_name(path)).mkdir()
    assert output_name(path) != output_name(path.with_name(f"{path.name[:-1]}x"))


def test_an_empty_file_has_an_empty_output(bulk: BulkFiles) -> None:
    path = bulk.folder / "none.csv"
    path.write_text("product_id,title\n")
    assert bulk.embed(path).stored_count == 0
    whole = read_whole(bulk.out / output_name(path))
    assert whole is not None and whole.row_count == 0


def test_two_runs_cannot_write_one_folder(bulk: BulkFiles) -> None:
    with locked(bulk.out), pytest.raises(EmbeddedFolderError, match="another run"):
        bulk.embed()


def test_a_missing_file_or_version_is_said(bulk: BulkFiles) -> None:
    with pytest.raises(ProductFileError):
        bulk.embed(bulk.folder / "nothing.csv")
    with pytest.raises(EncoderContractError, match="3"):
        bulk.embed(version=3)


@pytest.mark.parametrize(
    ("gpu_count", "worker_count", "share"),
    [(0, 4, 0.0), (1, 1, 1.0), (1, 8, 1 / 8), (3, 4, 1 / 2), (4, 2, 1.0)],
)
def test_all_workers_find_room_on_the_gpus(gpu_count: int, worker_count: int, share: float) -> None:
    assert share_of_gpus(gpu_count, worker_count) == share


@pytest.mark.parametrize(
    ("cores", "count"), [([16.0], 8), ([3.0, 3.0], 2), ([1.0, 1.0, 4.0], 2), ([1.0], 1), ([], 1)]
)
def test_all_workers_find_room_on_the_machines(cores: list[float], count: int) -> None:
    alive = [{"Alive": True, "Resources": {"CPU": each}} for each in cores]
    others = [{"Alive": False, "Resources": {"CPU": 8.0}}, {"Alive": True, "Resources": {}}]
    assert room_for_workers([*alive, *others]) == count
