"""The Grocery Store data set, on a small folder of exactly its layout."""

from pathlib import Path

import pytest

from tests.training.catalogues.photos import write_broken_photo, write_photo
from twinshelf.training.catalogues.grocery import read_grocery

HEADER = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),"
    "Iconic Image Path (str),Product Description Path (str)\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    iconic = "iconic-images-and-descriptions/Fruit/Apple"
    lines = []
    for number, name in enumerate(["Golden-Delicious", "Pink-Lady"]):
        stem = f"{iconic}/{name}/{name}"
        write_photo(tmp_path / f"{stem}_Iconic.jpg", seed=number)
        (tmp_path / f"{stem}_Description.txt").write_text(f"About {name}.\n", encoding="utf-8")
        lines.append(f"{name},{number},Apple,0,/{stem}_Iconic.jpg,/{stem}_Description.txt\n")
    (tmp_path / "classes.csv").write_text(HEADER + "".join(lines), encoding="utf-8")
    for part, count in (("train", 3), ("val", 1)):
        with (tmp_path / f"{part}.txt").open("w") as file:
            for number in range(count):
                name = f"{part}/Fruit/Apple/Pink-Lady/Pink-Lady_{number:03d}.jpg"
                write_photo(tmp_path / name, seed=10 + number)
                file.write(f"{name}, 1, 0\n")
    return tmp_path


def test_the_catalogue_is_the_gallery_with_icon_and_description(folder: Path) -> None:
    gallery = read_grocery(folder, seed=42).gallery
    assert [product.title for product in gallery] == ["Golden Delicious", "Pink Lady"]
    assert gallery[0].description == "About Golden-Delicious."
    assert gallery[0].category == "Apple"
    assert gallery[0].images[0].is_file()


def test_validation_photos_are_queries_of_their_product_without_a_word(folder: Path) -> None:
    data = read_grocery(folder, seed=42)
    [query] = data.queries
    assert query.group == data.gallery[1].group
    assert query.product_id == "val/Fruit/Apple/Pink-Lady/Pink-Lady_000"
    assert (query.title, query.description, query.category, query.brand) == ("", "", "", "")


def test_training_takes_its_photos_and_the_catalogue_and_no_query(folder: Path) -> None:
    data = read_grocery(folder, seed=42)
    assert len(data.train) == 3 + 2
    assert not {p.product_id for p in data.train} & {p.product_id for p in data.queries}
    assert data.bad_rows == ()


def test_bad_rows_are_reported_with_list_and_number(folder: Path) -> None:
    write_broken_photo(folder / "train/broken.jpg")
    with (folder / "train.txt").open("a") as file:
        file.write("train/missing.jpg, 1, 0\ntrain/broken.jpg, 1, 0\nno ids\nphoto.jpg, 99, 0\n")
    data = read_grocery(folder, seed=42)
    assert len(data.train) == 5
    assert [(row.source, row.row_number) for row in data.bad_rows] == [
        ("train.txt", number) for number in (4, 5, 6, 7)
    ]
    missing, broken, odd, unknown = (row.reason for row in data.bad_rows)
    assert "is missing" in missing and "broken or cut off" in broken
    assert "must be: photo, class id" in odd and "class id '99'" in unknown


def test_a_product_without_its_description_is_bad_and_so_are_its_photos(folder: Path) -> None:
    next(folder.glob("**/Pink-Lady_Description.txt")).unlink()
    data = read_grocery(folder, seed=42)
    assert [product.title for product in data.gallery] == ["Golden Delicious"]
    assert [row.source for row in data.bad_rows] == ["classes.csv", *["train.txt"] * 3, "val.txt"]


def test_missing_lists_and_columns_are_named(folder: Path) -> None:
    (folder / "val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"val\.txt"):
        read_grocery(folder, seed=42)
    (folder / "classes.csv").write_text("Class Name (str)\nx\n")
    with pytest.raises(ValueError, match=r"classes\.csv has no column 'Class ID \(int\)'"):
        read_grocery(folder, seed=42)
