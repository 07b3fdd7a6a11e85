"""The fashion set, on a small folder of exactly its layout."""

from pathlib import Path

import pytest

from tests.training.catalogues.photos import write_photo
from twinshelf.training.catalogues.fashion import read_fashion

HEADER = (
    "id,title,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,image\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with (tmp_path / "styles.csv").open("w") as file:
        file.write(HEADER)
        for number in range(30):
            write_photo(tmp_path / f"images/{number}.jpg", seed=number)
            file.write(
                f"{number},Acme Men  Shirt {number // 3},Men,Apparel,Topwear,Shirts,Blue,Fall,"
                f"2011,,images/{number}.jpg\n"
            )
    return tmp_path


def test_rows_become_products(folder: Path) -> None:
    product = read_fashion(folder, seed=42).gallery[0]
    assert (product.product_id, product.title, product.category) == (
        "0", "Acme Men  Shirt 0", "Shirts"
    )  # fmt: skip
    assert product.attributes == {"colour": "Blue", "gender": "Men", "season": "Fall"}
    assert product.group == "acme men shirt 0 | shirts | blue"


def test_equal_titles_of_one_type_and_colour_are_a_group_that_stands_on_one_side(
    folder: Path,
) -> None:
    data = read_fashion(folder, seed=42)
    assert len(data.gallery) == 10
    assert len(data.queries) == 2 * 2
    assert not {p.group for p in data.train} & {p.group for p in data.queries}


def test_another_colour_is_another_group(folder: Path) -> None:
    with (folder / "styles.csv").open("a") as file:
        file.write("77,acme men shirt 0,Men,A,B,Shirts,Red,Fall,2011,x,images/0.jpg\n")
    groups = {row.group for row in read_fashion(folder, seed=42).gallery}
    assert len(groups) == 11


def test_bad_rows_are_reported(folder: Path) -> None:
    with (folder / "styles.csv").open("a") as file:
        file.write("77,,Men,A,B,Shirts,Red,Fall,2011,x,images/0.jpg\n")
        file.write("78,Shirt,Men,A,B,Shirts,Red,Fall,2011,x,images/none.jpg\n")
        file.write("79,Shirt,with a comma,Men,A,B,Shirts,Red,Fall,2011,x,images/1.jpg\n")
    bad_rows = read_fashion(folder, seed=42).bad_rows
    assert [row.row_number for row in bad_rows] == [31, 33]
    assert "'title' is empty" in bad_rows[0].reason and "12 cells" in bad_rows[1].reason


def test_a_missing_table_or_column_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"styles\.csv"):
        read_fashion(tmp_path, seed=42)
    (tmp_path / "styles.csv").write_text("id,title\n1,x\n")
    with pytest.raises(ValueError, match=r"styles\.csv has no column 'articleType'"):
        read_fashion(tmp_path, seed=42)
