"""Sports-shop cards, on small files of exactly their form."""

from collections import Counter
from pathlib import Path

import pytest

from tests.training.catalogues.photos import write_photo
from tests.training.catalogues.rows import good_rows
from twinshelf.training.catalogues.sports import read_cards, read_sports

HEADER = "title,price,cat_1,cat_2,cat_3,caracteristics,img_ref,target,dealer\n"


def card(number: int, target: str = "steppery", dealer: str = "sportdoma") -> str:
    """One line as the shop's export writes it: quotes doubled inside a quoted cell."""
    return (
        f'Степпер SOLE F{number},169900,Степперы,Министепперы,SOLE,"Консоль:7.5"" LCD, '
        f'цветная Вес:119 кг.",images/{target}/{number}_{dealer}_1.jpeg,{target},{dealer}\n'
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [card(n) for n in range(6)] + [card(n, "velotrenazhery") for n in range(4)]
    (tmp_path / "company_data.csv").write_text(HEADER + "".join(lines), encoding="utf-8")
    return tmp_path


def append(folder: Path, line: str) -> None:
    with (folder / "company_data.csv").open("a", encoding="utf-8") as file:
        file.write(line)


def test_cards_become_products(folder: Path) -> None:
    product = good_rows(read_cards(folder / "company_data.csv"))[0]
    assert product.product_id == "images/steppery/0_sportdoma_1"
    assert product.title == "Степпер SOLE F0" and product.price == 169900.0
    assert product.category == "Степперы > Министепперы" and product.brand == "SOLE"
    assert product.description == 'Консоль:7.5" LCD, цветная Вес:119 кг.'
    assert product.seller == "sportdoma" and product.group == "steppery"


@pytest.mark.slow
def test_a_photo_that_is_not_there_is_left_out(folder: Path) -> None:
    there = write_photo(folder / "images/steppery/1_sportdoma_1.jpeg")
    images = [product.images for product in good_rows(read_cards(folder / "company_data.csv"))]
    assert images[0] == () and images[1] == (there,)
    assert not read_sports(folder, seed=42).bad_rows


def test_half_of_each_class_is_held_out_and_searched_among_itself(folder: Path) -> None:
    data = read_sports(folder, seed=42)
    assert Counter(p.group for p in data.queries) == {"steppery": 3, "velotrenazhery": 2}
    assert data.gallery == data.queries
    assert not {p.product_id for p in data.train} & {p.product_id for p in data.queries}


def test_the_file_beside_the_queries_is_the_database(folder: Path) -> None:
    database = HEADER + card(1, dealer="other") + card(2, "velotrenazhery", dealer="other")
    (folder / "database.csv").write_text(database, encoding="utf-8")
    data = read_sports(folder, seed=42)
    assert {p.seller for p in data.gallery} == {"other"} and len(data.gallery) == 2
    assert len(data.train) == 5 + 2 and {p.seller for p in data.queries} == {"sportdoma"}
    (folder / "third.csv").write_text(HEADER)
    with pytest.raises(ValueError, match=r"one database file beside .*database\.csv, third\.csv"):
        read_sports(folder, seed=42)


def test_bad_rows_are_reported_by_number(folder: Path) -> None:
    append(folder, ",1,a,b,c,d,images/x.jpeg,steppery,s\n")
    append(folder, "Мяч,1,a,b,c,d,images/y.jpeg,,s\n")
    append(folder, "Мяч,даром,a,b,c,d,images/z.jpeg,steppery,s\n")
    append(folder, card(0))
    bad_rows = read_sports(folder, seed=42).bad_rows
    assert [row.row_number for row in bad_rows] == [11, 12, 14]
    assert "'title'" in bad_rows[0].reason and "'target'" in bad_rows[1].reason
    assert "stands in row" in bad_rows[2].reason


def test_cards_without_photo_and_price_are_named_by_their_row(folder: Path) -> None:
    append(folder, "Мяч,,a,,,,,steppery,s\n")
    product = good_rows(read_cards(folder / "company_data.csv"))[-1]
    assert product.product_id == "company_data-11" and product.price is None
    assert product.category == "a"


def test_targets_of_one_class_and_wrong_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "company_data.csv"
    path.write_text(HEADER + card(1) + card(2), encoding="utf-8")
    with pytest.raises(ValueError, match=r"company_data\.csv, column 'target': every label is"):
        read_sports(tmp_path, seed=42)
    path.write_text("title,price\n")
    with pytest.raises(ValueError, match=r"company_data\.csv has no column 'cat_1'"):
        read_cards(path)
