"""Products in a mapped file: the same as they went in, whatever is taken of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues import mapped_products, table
from twinshelf.training.catalogues.mapped_products import map_rows, map_table, number_texts
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table

PRODUCTS = [
    Product(
        product_id=f"p{number}",
        title=f"Łódź {number}",
        price=number / 4 if number else None,
        attributes={"size": "L"} if number % 2 else {},
        images=(Path(f"/photos/{number // 2}.jpg"),) if number else (),
        group=f"g{number // 3}",
    )
    for number in range(7)
]


def test_rows_come_back_as_they_went_in_and_bad_ones_apart() -> None:
    bad = BadRow(source="t.csv", row_number=1, reason="is odd")
    products, bad_rows = map_rows([PRODUCTS[0], bad, *PRODUCTS[1:]])
    assert list(products) == PRODUCTS
    assert bad_rows == (bad,)
    assert products[-1] == PRODUCTS[-1]
    assert list(products.take(np.array([5, 0]))) == [PRODUCTS[5], PRODUCTS[0]]
    assert list(products.take(np.arange(7) > 4).take(np.array([1]))) == [PRODUCTS[6]]


def test_a_table_of_ours_is_mapped_with_the_photos_of_its_folder(tmp_path: Path) -> None:
    own = Product(product_id="own", images=(tmp_path / "photos" / "ä.jpg",))
    write_table(tmp_path / "t.parquet", [own, *PRODUCTS])
    products = map_table(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").unlink()
    assert list(products) == [own, *PRODUCTS]
    photos = [own.images, *(PRODUCTS[number].images for number in (1, 2, 4, 6))]
    assert list(products.images()) == photos


def test_rows_of_many_parts_come_in_the_order_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(mapped_products, "ROWS_AT_ONCE", 3)
    products, _ = map_rows(PRODUCTS)
    assert list(products) == PRODUCTS == [products[number] for number in range(7)]
    order = [6, 1, 5, 1, 0, 3, 2, 4]
    taken = products.take(np.array(order))
    assert list(taken) == [PRODUCTS[number] for number in order] == [taken[n] for n in range(8)]
    assert taken.texts("title").to_pylist() == [PRODUCTS[number].title for number in order]


def test_the_texts_of_a_whole_table_stay_on_the_disk() -> None:
    products, _ = map_rows(PRODUCTS * 100)
    before = pa.total_allocated_bytes()
    column = products.texts("title")
    assert len(column) == 700 and pa.total_allocated_bytes() == before


def test_products_are_known_by_their_identifiers() -> None:
    products, _ = map_rows(PRODUCTS)
    assert products.are_in(products.take(np.array([4, 2]))).nonzero()[0].tolist() == [2, 4]
    nobody = products.take(np.zeros(7, dtype=np.bool_))
    assert not products.are_in(nobody).any() and len(nobody.are_in(products)) == 0


def test_nothing_is_mapped_as_nothing() -> None:
    products, _ = map_rows([])
    assert list(products) == []
    (numbers,) = number_texts(products.texts("group"))
    assert len(numbers) == 0


def test_a_table_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"]}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"t\.parquet is no prepared table; expected columns prod"):
        map_table(tmp_path / "t.parquet")


def test_equal_texts_have_equal_numbers_in_all_columns() -> None:
    left, right = (pa.chunked_array([[*texts]], pa.large_string()) for texts in ("cab", "bd"))
    assert [list(each) for each in number_texts(left, right)] == [[0, 1, 2], [2, 3]]
    assert [list(each) for each in number_texts(left, right, by_name=True)] == [[2, 0, 1], [1, 3]]
