"""Preparing data sets from the command line."""

import csv
import json
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.catalogues.photos import write_broken_photo, write_photo
from tests.training.catalogues.rows import good_rows
from tests.training.catalogues.small_esci import write_small_esci
from twinshelf.training.catalogues.prepare import FETCHED, PHOTO_LIST, Source, main, prepare
from twinshelf.training.catalogues.table import read_table


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of ten groups of three offers."""
    lines = ["product_id,title,price,images,group"]
    for group in range(10):
        for row in range(3):
            photo = write_photo(tmp_path / f"photos/{group}-{row}.jpg", seed=group)
            name = photo.relative_to(tmp_path)
            lines.append(f"{group}-{row},Tea {group},,{name},g{group}")
    (tmp_path / "shop.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "shop.csv"


def append(table: Path, **cells: str) -> None:
    with table.open(newline="") as file:
        header = next(csv.reader(file))
    with table.open("a", newline="") as file:
        csv.DictWriter(file, header, restval="").writerow(cells)


def counts(out: Path) -> dict[str, int]:
    return {
        name: len(list(read_table(out / f"{name}.parquet")))
        for name in ("train", "queries", "gallery")
    }


def test_a_table_is_split_into_three(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["--data", str(table), "--out", str(out)]) == 0
    assert counts(out) == {"train": 24, "queries": 4, "gallery": 10}
    assert (
        "10 catalogue products, 24 rows to train on, 4 held-out offers" in capsys.readouterr().out
    )
    assert all(p.images[0].is_file() for p in good_rows(read_table(out / "train.parquet")))


def test_bad_rows_are_counted_shown_and_written_and_stop_nothing(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_broken_photo(table.parent / "broken.jpg")
    append(table, product_id="a", title="Tea", images="broken.jpg")
    append(table, product_id="b", title="Tea", images="missing.jpg")
    append(table, product_id="c")
    append(table, product_id="0-0", title="Tea")
    append(table, product_id="d", title="Tea", price="abc")
    out = tmp_path / "out"
    assert main(["--data", str(table), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 bad rows" in printed and "shop.csv, row 33: nothing to embed" in printed
    assert "1 price could not be read, such as 'abc': left empty" in printed
    assert "2 photos could not be read" in printed
    with (out / "bad_rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["row_number"] for row in rows] == ["33", "34"]
    assert {row["source"] for row in rows} == {"shop.csv"}
    assert counts(out)["gallery"] == 13


def test_a_bad_row_is_called_by_its_number_in_the_file(tmp_path: Path) -> None:
    photos = [write_photo(tmp_path / f"{n}.jpg", seed=n).name for n in range(3)]
    write_broken_photo(tmp_path / "broken.jpg")
    lines = ["a,Tea,0.jpg,g", "a,,1.jpg,g", "b,Tea,2.jpg,g", "c,,broken.jpg,g"]
    (tmp_path / "t.csv").write_text("\n".join(["product_id,title,images,group", *lines]) + "\n")
    data = prepare(Source(data=str(tmp_path / "t.csv"), out=tmp_path / "out"))
    assert len(photos) == 3 and [len(each.images) for each in data.train] == [2, 1]
    assert [str(row).partition(": photo")[0] for row in data.bad_rows] == ["t.csv, row 4"]


def test_only_the_first_bad_rows_are_shown(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(25):
        append(table, product_id="x")
    assert main(["--data", str(table), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("nothing to embed") == 10
    assert "bad_rows.csv" in printed


def test_data_json_says_what_was_read(table: Path, tmp_path: Path) -> None:
    prepare(Source(data=str(table), out=tmp_path / "out", seed=7))
    written = json.loads((tmp_path / "out" / "data.json").read_text())
    assert written["source"]["data"] == str(table) and written["source"]["seed"] == 7
    assert (written["train_count"], written["query_count"], written["gallery_count"]) == (24, 4, 10)
    assert len(written["sha256"]) == 64


@pytest.mark.slow
def test_equal_calls_give_equal_tables_and_another_seed_others(table: Path, tmp_path: Path) -> None:
    def digest(seed: int) -> str:
        prepare(Source(data=str(table), out=tmp_path / "out", seed=seed))
        return str(json.loads((tmp_path / "out" / "data.json").read_text())["sha256"])

    assert digest(seed=42) == digest(seed=42) != digest(seed=1)


def test_another_photo_of_the_same_name_is_other_data(table: Path, tmp_path: Path) -> None:
    def written() -> str:
        prepare(Source(data=str(table), out=tmp_path / "out"))
        return (tmp_path / "out" / "data.json").read_text()

    before = written()
    write_photo(tmp_path / "photos/0-0.jpg", seed=99)
    assert written() != before


def test_the_photos_that_a_table_names_are_listed_also_where_they_are_missing(
    table: Path, tmp_path: Path
) -> None:
    append(table, product_id="new", title="Tea", images="photos/missing.jpg")
    prepare(Source(data=str(table), out=tmp_path / "out"))
    listed = (tmp_path / "out" / PHOTO_LIST).read_text().splitlines()
    assert len(listed) == 31 and str(tmp_path / "photos" / "missing.jpg") in listed


def test_columns_may_be_named_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("sku,name,label\n1,Tea,a\n2,Tea,a\n3,Milk,b\n4,Milk,b\n")
    mapping = "product_id=sku,title=name,group=label"
    assert main(["--data", str(path), "--columns", mapping, "--out", str(tmp_path / "out")]) == 0
    assert counts(tmp_path / "out") == {"train": 2, "queries": 1, "gallery": 2}


def test_a_table_of_any_form_is_prepared(tmp_path: Path) -> None:
    path = tmp_path / "shop.txt"
    path.write_bytes("1~Größe~a\n2~Größe~a\n3~Milch~b\n4~Milch~b\n".encode("cp850"))
    arguments = ["--data", str(path), "--delimiter", "~", "--encoding", "cp850", "--no-header"]
    arguments += ["--columns", "product_id=1,title=2,group=3", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert {row.title for row in good_rows(read_table(tmp_path / "out/gallery.parquet"))} == {
        "Größe",
        "Milch",
    }


def test_photos_in_a_table_are_prepared(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.jpg").read_bytes()
    table = {"id": ["1", "2", "3", "4"], "image": [{"bytes": photo, "path": "x.jpg"}] * 4,
             "group": list("aabb")}  # fmt: skip
    pq.write_table(pa.table(table), tmp_path / "shop.parquet")
    assert main(["--data", str(tmp_path / "shop.parquet"), "--out", str(tmp_path / "out")]) == 0
    (first, _) = good_rows(read_table(tmp_path / "out/gallery.parquet"))
    assert first.images[0].read_bytes() == photo


def test_photos_of_the_web_are_fetched_on_request_and_kept_in_the_target(tmp_path: Path) -> None:
    url, out = "https://shop.example/a.jpg", tmp_path / "out"
    lines = [f"{n},{url},g{n % 2}" for n in range(6)]
    (tmp_path / "shop.csv").write_text("\n".join(["product_id,images,group", *lines]) + "\n")
    call = ["--data", str(tmp_path / "shop.csv"), "--out", str(out)]
    assert main(call) == 1
    (out / FETCHED).mkdir()
    write_photo(tmp_path / "a.jpg").rename(out / FETCHED / sha256(url.encode()).hexdigest())
    assert main([*call, "--fetch-images"]) == 0  # what was fetched once is not asked for again
    assert all(p.images[0].is_file() for p in good_rows(read_table(out / "train.parquet")))


def test_data_without_groups_is_prepared_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("product_id,title\n1,Tea\n2,Milk\n")
    assert main(["--data", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "nothing can be matched" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.csv"], "no file nowhere.csv"),
        (["--data", "nonsense"], "--data must be grocery, fashion, shopee"),
        (["--data", "grocery"], "needs --data-dir"),
        (["--data", "fashion", "--data-dir", "nowhere"], "--data-dir nowhere is not a folder"),
        (["--data", "grocery", "--columns", "title=x"], "--columns is for tables"),
        (["--data", "a.csv", "--data-dir", "x"], "--data-dir is for data sets known by name"),
    ],
)
def test_wrong_options_end_with_a_sentence(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("prepare failed: ") and message in captured.err
    assert not (tmp_path / "out" / "data.json").exists()


def test_a_table_with_no_usable_row_ends_with_the_first_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("product_id,title\n1,\n2,\n")
    assert main(["--data", str(path), "--out", str(tmp_path / "out")]) == 1
    assert "no usable row" in (error := capsys.readouterr().err)
    assert "shop.csv, row 1: nothing to embed" in error


def test_a_published_set_is_prepared_by_name(tmp_path: Path) -> None:
    folder, out = tmp_path / "sports", tmp_path / "out"
    folder.mkdir()
    cards = folder / "company_data.csv"
    header = "title,price,cat_1,cat_2,cat_3,caracteristics,img_ref,target,dealer\n"
    lines = [f"Мяч {n},10,a,b,c,d,images/{n}.jpeg,class {n % 2},shop\n" for n in range(8)]
    cards.write_text(header + "".join(lines), encoding="utf-8")
    arguments = ["--data", "sports", "--data-dir", str(folder), "--out", str(out)]
    assert main(arguments) == 0
    assert counts(out) == {"train": 4, "queries": 4, "gallery": 4}


def test_judged_searches_are_prepared_by_name_and_missing_files_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "raw", tmp_path / "out"
    folder.mkdir()
    arguments = ["--data", "esci-us", "--data-dir", str(folder), "--out", str(out)]
    assert main(arguments) == 1
    assert "neither shopping_queries_dataset_examples.parquet" in capsys.readouterr().err
    write_small_esci(folder)
    assert main(arguments) == 0
    assert counts(out) == {"train": 204, "queries": 13, "gallery": 384}
    assert main(["--data", "esci-jp", *arguments[2:]]) == 1
    assert "no usable row in esci-jp" in capsys.readouterr().err
