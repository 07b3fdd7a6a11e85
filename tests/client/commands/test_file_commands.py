"""Files are stored and matched through the service; a broken run goes on where it stopped."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pandas
import pytest
from google.rpc import code_pb2
from google.rpc.status_pb2 import Status

from tests.client.fake_service import REFUSED, UNAVAILABLE, FakeService, make_status
from twinshelf.client.cli import main
from twinshelf.client.commands.file_commands import run_check, run_index, run_match_files
from twinshelf.client.commands.options import FileOptions, IndexOptions
from twinshelf.client.errors import PreconditionError, ServiceUnavailableError, TwinshelfError
from twinshelf.client.files.names.columns import read_column_mapping
from twinshelf.client.files.rows import ProductFileError
from twinshelf.client.records import MatchOptions, Product
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client
from twinshelf.v1 import product_pb2


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def index(client: Client, path: Path, options: FileOptions | None = None, **words: Any) -> str:
    """Stores a file and returns what is printed."""
    stream = io.StringIO()
    wanted = IndexOptions(**words)
    run_index(client, [path], options or FileOptions(), wanted, stream, as_json=False)
    return stream.getvalue()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_refused_photo_is_counted_and_its_text_stored(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    (tmp_path / "cut.jpg").write_bytes(b"cut off")
    path = write(tmp_path / "t.csv", "id,title,image\np1,tea,cut.jpg\np2,,cut.jpg\np3,mug,\n")
    service.row_failures = {"p1": [REFUSED], "p2": [REFUSED]}
    out = index(client, path)
    assert "1 photo could not be read: cut.jpg: the photo is not an image" in out
    assert "2 products stored, 0 of them replaced; 1 row failed" in out
    assert service.products["p1"].title == "tea" and not service.products["p1"].image


def test_a_photo_above_the_message_limit_is_left_out_like_a_refused_one(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(4 * 1024 * 1024))
    path = write(tmp_path / "t.csv", "id,title,image\np1,tea,large.jpg\np2,,large.jpg\np3,mug,\n")
    out = index(client, path)
    assert "1 photo could not be read: large.jpg: the photo of 4.0 MiB is too large" in out
    assert "2 products stored, 0 of them replaced; 1 row failed" in out
    assert service.products["p1"].title == "tea" and not service.products["p1"].image


def test_several_photos_of_a_product_are_sent_and_a_refused_one_is_left_out(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    for name in "abcd":
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    path = write(
        tmp_path / "t.csv",
        "id,title,image,image_2,additional_image_link\n"
        'p1,tea,a.jpg,b.jpg,"c.jpg,d.jpg"\np2,mug,a.jpg,,gone.jpg\n',
    )
    refused = make_status(3, "no photo", field="product.further_images[1]")
    service.row_failures = {"p1": [refused]}
    out = index(client, path, photos=8)
    assert "2 photos could not be read" in out and "2 products stored" in out
    tea, mug = service.products["p1"], service.products["p2"]
    assert (tea.image, list(tea.further_images)) == (b"a", [b"b", b"d"])
    assert (mug.image, list(mug.further_images)) == (b"a", [])
    index(client, path, photos=2, update="image")
    assert service.last_masks[-1] == ("image", "image_uri", "further_images")
    assert list(service.products["p1"].further_images) == [b"b"]
    index(client, path)
    assert not service.products["p1"].further_images


@pytest.mark.slow
def test_a_broken_run_goes_on_where_it_stopped_and_repeats_nothing(
    client: Client, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"p{number},tea {number}" for number in range(300)]
    path = write(tmp_path / "t.csv", "\n".join(["id,title", *lines]))
    service.break_after = [100, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(TwinshelfError):
        index(client, path)
    assert "100 products stored before this; the same command goes on" in capsys.readouterr().err
    service.break_after = []
    service.calls.clear()
    assert "200 products stored" in index(client, path)
    assert "going on behind row 100" in capsys.readouterr().err
    assert service.calls["p99"] == 0 and service.calls["p100"] == 1
    assert len(service.products) == 300
    assert "300 products stored, 300 of them replaced" in index(client, path)


@pytest.mark.parametrize(
    "error",
    [UNAVAILABLE, make_status(code_pb2.RESOURCE_EXHAUSTED, "full", reason="CATALOGUE_FULL")],
)
def test_what_would_fail_with_every_row_stops_the_run_and_is_no_fault_of_a_row(
    client: Client, service: FakeService, tmp_path: Path, error: Status
) -> None:
    path = write(tmp_path / "t.csv", "id,title\np1,tea\np2,mug\np3,pan\n")
    stream, table = io.StringIO(), tmp_path / "m.csv"

    def match() -> None:
        run_match_files(client, [path], FileOptions(), MatchOptions(), table, stream, as_json=False)

    for row, run in (("p2", lambda: index(client, path)), ("mug", match)):
        service.row_failures = {row: [error] * 3}
        with pytest.raises(TwinshelfError, match=error.message):
            run()
        service.row_failures = {}
        run()
    assert set(service.products) == {"p1", "p2", "p3"} and service.calls["p1"] == 1
    assert "3 offers matched, 0 without a match, 0 failed" in stream.getvalue()


def test_a_minute_without_triton_costs_no_row_but_a_service_that_is_not_there_is_told_at_once(
    address: str,
    service: FakeService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(RetryPolicy, "backoff_s", lambda *_: 0.0)
    path, table = write(tmp_path / "t.csv", "id,title\np1,tea\n"), str(tmp_path / "m.csv")
    for arguments, row in ((["index"], "p1"), (["match", "--output", table], "tea")):
        for failure_count, status in ((20, 0), (50, 1)):
            service.row_failures = {row: [UNAVAILABLE] * failure_count}
            assert main([*arguments, str(path), "--address", address]) == status
        assert main([*arguments, str(tmp_path / "no.csv"), "--address", "127.0.0.1:1"]) == 1
        assert "no matching service can be reached" in capsys.readouterr().err


@pytest.mark.slow
def test_rows_that_failed_before_a_break_are_reported_after_it(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    lines = [f"p{number},{'' if number in (3, 30) else 'tea'}" for number in range(50)]
    path = write(tmp_path / "t.csv", "\n".join(["id,title", *lines]))
    service.break_after = [20, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(TwinshelfError):
        index(client, path)
    (note,) = tmp_path.rglob("index/*")
    with note.open("a") as file:
        file.write('44 {"row_num')  # a process that was killed while it wrote
    service.break_after = []
    out = index(client, path)
    assert "nothing to embed" in out and "2 rows failed" in out and not note.exists()


@pytest.mark.parametrize("is_restored", [False, True])
def test_a_run_begins_anew_in_a_catalogue_that_has_not_all_of_it(
    client: Client, service: FakeService, tmp_path: Path, is_restored: bool
) -> None:
    path = write(tmp_path / "t.csv", "\n".join(["title", *(f"tea {n}" for n in range(50))]))
    service.break_after = [20, 0, 0, 0, 0, 0]
    with pytest.raises(TwinshelfError):
        index(client, path)
    if is_restored:  # from a backup that was taken before the run
        service.products = {"old": product_pb2.Product(product_id="old")}
        service.history_id = "second"
    else:
        service.products.clear()
    service.break_after = []
    assert "50 products stored" in index(client, path)
    assert len(service.products.keys() - {"old"}) == 50


def test_an_earlier_run_can_be_forgotten_and_a_changed_file_begins_anew(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    lines = [f"p{number},tea {number}" for number in range(50)]
    path = write(tmp_path / "t.csv", "\n".join(["id,title", *lines]))
    for again in ("restart", "change"):
        service.break_after = [20, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        with pytest.raises(TwinshelfError):
            index(client, path, restart=True)
        service.break_after = []
        if again == "change":
            write(path, path.read_text() + "\nx,mug")
        assert f"{50 + (again == 'change')} products stored" in index(
            client, path, restart=again == "restart"
        )


def test_check_stores_nothing_and_proposes_what_then_works(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.csv", "17;Red shoe, size 42;9,99\n18;Blue boot, size 43;NULL\n")
    stream = io.StringIO()
    run_check([path], FileOptions(), "", stream, as_json=False)
    out = stream.getvalue()
    assert "cells between semicolons" in out and "2 by text alone" in out
    assert "read it with: --no-header --columns 'product_id=1,title=2,price=3'" in out
    assert "1 price could not be read, such as 'NULL': left empty" in out
    assert not service.products
    columns = read_column_mapping("product_id=1,title=2,price=3")
    index(client, path, FileOptions(no_header=True, columns=columns))
    assert service.products["17"].price == 9.99
    run_check([path], FileOptions(), "", stream, as_json=True)


def test_a_check_of_an_update_asks_for_no_title_and_says_what_would_change(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.csv", "id,price,stock\n17,9.99,3\n18,,\n")
    stream = io.StringIO()
    run_check([path], FileOptions(), "price,attributes.stock", stream, as_json=False)
    out = stream.getvalue()
    assert "1 product would be changed, those of them that are stored: price, attributes" in out
    assert "1 row would fail\n  t.csv, row 2: nothing to update: no price, attributes.stock" in out
    with pytest.raises(ProductFileError, match="needs a column of product_id"):
        run_check([write(path, "price\n9\n")], FileOptions(), "price", stream, as_json=False)


def test_matches_of_a_file_are_written_as_a_table(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    products = [Product(product_id=name, title=name) for name in ("mug", "tea")]
    assert all(answer.error is None for answer in client.upsert(products))
    path = write(tmp_path / "o.csv", "id,title\no1,tea\no2,refused\no3,NULL\no4,mug\n")
    for name in ("m.csv", "m.parquet"):
        service.row_failures = {"refused": [REFUSED]}
        stream = io.StringIO()
        options, table = MatchOptions(match_count=2), tmp_path / name
        assert not run_match_files(
            client, [path], FileOptions(), options, table, stream, as_json=False
        )
        assert "2 offers matched, 0 without a match, 2 failed" in stream.getvalue()
    frame = pandas.read_csv(tmp_path / "m.csv")
    assert list(frame.offer_id.fillna("")) == ["o1", "o1", "o2", "", "o4", "o4"]
    assert list(frame["rank"].dropna()) == [1, 2, 1, 2] and frame.probability[0] > 0.9
    assert frame.is_match[:2].tolist() == [True, False]
    assert frame.no_match_probability[0] == 0.03
    assert "not an image" in frame.error[2] and "nothing to embed" in frame.error[3]
    same = pandas.read_parquet(tmp_path / "m.parquet")
    assert list(same.product_id.fillna("")) == list(frame.product_id.fillna(""))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("m.txt", r"must end in \.csv or \.parquet"), ("o.csv", "would be replaced"),
     ("link.csv", "would be replaced")],
)  # fmt: skip
def test_a_table_of_another_form_or_in_the_place_of_the_offers_is_refused(
    client: Client, tmp_path: Path, name: str, reason: str
) -> None:
    path = write(tmp_path / "o.csv", "id,title\no1,tea\n")
    (tmp_path / "link.csv").symlink_to(path)
    with pytest.raises(ProductFileError, match=reason):
        run_match_files(
            client, [path], FileOptions(), MatchOptions(), tmp_path / name, io.StringIO(),
            as_json=False,
        )  # fmt: skip
    assert path.read_text() == "id,title\no1,tea\n"


@pytest.mark.slow
def test_a_broken_match_goes_on_behind_what_it_kept_and_loses_and_repeats_nothing(
    client: Client, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.products["tea"] = product_pb2.Product(product_id="tea", title="tea")
    lines = [f"o{number},tea {number}" for number in range(300)]
    path = write(tmp_path / "o.csv", "\n".join(["id,title", *lines]))
    table, staged = tmp_path / "m.csv", tmp_path / "m.csv.partial"

    def run(count: int = 5) -> str:
        stream, options = io.StringIO(), MatchOptions(match_count=count)
        run_match_files(client, [path], FileOptions(), options, table, stream, as_json=False)
        return stream.getvalue()

    for _ in range(2):
        service.break_after = [100, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        with pytest.raises(TwinshelfError):
            run()
        with staged.open("ab") as file:  # as a killed process leaves it
            file.write(b'[{"source": "o.csv", "row_nu')
    service.break_after = []
    assert "going on behind offer 100" in capsys.readouterr().err and not table.exists()
    assert "300 offers matched" in run()
    assert list(pandas.read_csv(table).row_number) == list(range(1, 301))
    assert service.calls["tea 99"] == 1 and not staged.exists()
    write(staged, "of another run\n[]\n")
    assert "300 offers matched" in run(3)


@pytest.mark.slow
def test_a_match_that_another_encoder_would_go_on_with_begins_anew(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    path = write(tmp_path / "o.csv", "\n".join(["title", *(f"tea {n}" for n in range(50))]))

    def run(options: MatchOptions) -> None:
        stream, table = io.StringIO(), tmp_path / "m.csv"
        run_match_files(client, [path], FileOptions(), options, table, stream, as_json=False)

    def asked_anew(options: MatchOptions) -> bool:
        service.calls.clear()
        service.encoder = product_pb2.EncoderInfo(digest="sha256:first")
        service.break_after = [20, 0, 0, 0, 0, 0]
        with pytest.raises(TwinshelfError):
            run(options)
        service.encoder = product_pb2.EncoderInfo()
        if not options.encoder_version:
            with pytest.raises(ServiceUnavailableError, match="does not reach its encoder"):
                run(options)
        service.encoder, service.break_after = product_pb2.EncoderInfo(digest="sha256:next"), []
        run(options)
        return service.calls["tea 3"] > 1

    assert asked_anew(MatchOptions())
    assert not asked_anew(MatchOptions(encoder_version=1))


def test_a_match_stops_when_its_encoder_is_gone_and_asks_no_other(
    client: Client, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, table = write(tmp_path / "o.csv", "title\ntea\nmug\n"), tmp_path / "m.csv"
    gone = make_status(code_pb2.FAILED_PRECONDITION, "not kept", reason="ENCODER_MISMATCH")
    service.row_failures = {"mug": [gone]}
    stream = io.StringIO()
    with pytest.raises(PreconditionError, match="not kept"):
        run_match_files(client, [path], FileOptions(), MatchOptions(), table, stream, as_json=False)
    assert service.last_match and service.last_match.encoder_digest == service.encoder.digest
    assert "the same command goes on from here" in capsys.readouterr().err and not table.exists()


def test_an_offer_whose_photo_is_refused_is_matched_by_its_text_or_another_photo(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    service.products["tea"] = product_pb2.Product(product_id="tea", title="tea")
    (tmp_path / "cut.jpg").write_bytes(b"cut off")
    (tmp_path / "whole.jpg").write_bytes(b"whole")
    offers = "o1,tea,cut.jpg\no2,mug,\no3,hat,cut.jpg\no4,,cut.jpg;whole.jpg\n"
    path = write(tmp_path / "o.csv", f"id,title,image\n{offers}")
    service.row_failures = {"tea": [REFUSED], "hat": [REFUSED], "": [REFUSED]}
    stream, table = io.StringIO(), tmp_path / "m.csv"
    run_match_files(client, [path], FileOptions(), MatchOptions(), table, stream, as_json=False)
    assert "3 photos could not be read; the first: cut.jpg" in stream.getvalue()
    assert "4 offers matched" in stream.getvalue()
    assert list(pandas.read_csv(table).offer_id) == ["o1", "o2", "o3", "o4"]
    assert service.last_match is not None and service.last_match.offer.image == b"whole"


def test_half_a_character_costs_itself_alone(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    path = write(tmp_path / "o.jsonl", '{"id": "a\\udc00", "title": "tea \\ud83d x"}\n')
    assert "1 product stored" in index(client, path)
    stream, table = io.StringIO(), tmp_path / "m.csv"
    run_match_files(client, [path], FileOptions(), MatchOptions(), table, stream, as_json=False)
    assert "1 offer matched" in stream.getvalue()


def test_a_name_that_is_no_utf_8_costs_one_photo_of_a_folder_alone(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(b"gr\xfcn")
    folder.mkdir()
    for name in ("a.png", os.fsdecode(b"caf\xe9.png"), "z.png"):
        (folder / name).write_bytes(b"photo")
    assert "2 products stored, 0 of them replaced; 1 row failed" in index(client, folder)
    for table in (tmp_path / "m.csv", tmp_path / "m.parquet"):
        stream = io.StringIO()
        run_match_files(
            client, [folder], FileOptions(), MatchOptions(), table, stream, as_json=False
        )
        assert "2 offers matched, 0 without a match, 1 failed" in stream.getvalue()
    assert set(pandas.read_csv(tmp_path / "m.csv").source) == {"gr?n"}
