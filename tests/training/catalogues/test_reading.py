"""Checking rows, and splitting them for matching."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.training.catalogues.photos import write_broken_photo, write_photo
from twinshelf.client.files.findings import Findings
from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.reading import (
    checked,
    require_classes,
)


def check(*rows: BadRow | Product) -> list[BadRow | Product]:
    return list(checked(enumerate(rows, 1), "rows"))


def reason_of(product: Product) -> str:
    [row] = check(product)
    assert isinstance(row, BadRow)
    return row.reason


def test_good_rows_pass_unchanged_in_their_order(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.jpg")
    rows: list[Product | BadRow] = [
        Product(product_id="1", title="Tea"),
        Product(product_id="2", images=(photo,)),
        BadRow(source="t.csv", row_number=3, reason="is odd"),
        Product(product_id="4", title="Tea", images=(photo, photo)),
    ]
    assert check(*rows) == rows


def test_a_row_with_nothing_to_embed_is_bad() -> None:
    assert "nothing to embed" in reason_of(Product(product_id="1"))
    assert "nothing to embed" in reason_of(Product(product_id="1", title="<br> &nbsp;"))
    assert "nothing to embed" in reason_of(Product(product_id="1", seller="Shop", group="g"))


def test_missing_and_unreadable_photos_are_bad(tmp_path: Path) -> None:
    missing = tmp_path / "none.jpg"
    assert reason_of(Product(product_id="1", images=(missing,))) == f"photo {missing} is missing"
    below_a_file = write_photo(tmp_path / "a.jpg") / "b.jpg"
    assert "is missing" in reason_of(Product(product_id="1", images=(below_a_file,)))
    assert "cannot be read" in reason_of(Product(product_id="1", images=(tmp_path,)))
    assert "cannot be read" in reason_of(Product(product_id="1", images=(tmp_path / ("x" * 999),)))


def test_broken_photos_are_left_out_and_counted_where_a_photo_or_a_text_stands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, broken = write_photo(tmp_path / "a.jpg"), write_broken_photo(tmp_path / "b.jpg")
    shown = Product(product_id="1", images=(good, broken))
    named = Product(product_id="2", title="Tea", images=(broken,))
    assert check(shown, named) == [
        replace(shown, images=(good,)),
        replace(named, images=()),
    ]
    assert "2 photos could not be read" in caplog.text and "broken or cut off" in caplog.text
    assert "broken or cut off" in reason_of(Product(product_id="3", images=(broken,)))
    findings = Findings()
    list(checked([(7, named)], "rows", findings=findings))
    assert findings.counts["photo"] == 1
    (tmp_path / "c.jpg").write_bytes(b"")
    assert "empty" in reason_of(Product(product_id="1", images=(tmp_path / "c.jpg",)))
    (tmp_path / "d.jpg").write_text("<html>not found</html>")
    assert "not a JPEG" in reason_of(Product(product_id="1", images=(tmp_path / "d.jpg",)))


def test_a_large_jpeg_cut_near_its_end_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((800, 600), 90).save(path, "JPEG")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.95 * len(data))])
    assert "broken or cut off" in reason_of(Product(product_id="1", images=(path,)))


@pytest.mark.slow
def test_the_pixel_limit_holds(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    Image.new("1", (10_000, 10_000)).save(photo)
    assert "megapixels" in reason_of(Product(product_id="1", images=(photo,)))


def test_the_second_of_two_with_one_identifier_is_bad() -> None:
    first, second, third = check(
        Product(product_id="1", title="Tea"),
        Product(product_id="1", title="Other"),
        Product(product_id="2", title="Tea"),
    )
    assert isinstance(first, Product) and isinstance(third, Product)
    assert str(second) == "rows, row 2: product_id '1' stands in row 1 too"


def test_an_identifier_of_a_bad_row_is_free_again() -> None:
    rows = check(Product(product_id="1"), Product(product_id="1", title="Tea"))
    assert [type(row) for row in rows] == [BadRow, Product]


def test_checking_is_lazy() -> None:
    def rows() -> Iterator[Product]:
        yield Product(product_id="1", title="Tea")
        raise AssertionError("read too far")

    first = next(checked(enumerate(rows()), "rows"))
    assert isinstance(first, Product) and first.product_id == "1"


def write_labels(tmp_path: Path, *labels: str) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("id,label\n" + "".join(f"{n},{label}\n" for n, label in enumerate(labels)))
    return path


def test_two_classes_pass(tmp_path: Path) -> None:
    for labels in ("a", "b", "", "a"), ("", "a", "b"):
        require_classes(write_labels(tmp_path, *labels), "label")


def test_labels_of_one_class_are_refused_by_file_row_and_column(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.csv, column 'label': every label is 'a', from row 2"):
        require_classes(write_labels(tmp_path, "", "a", "a"), "label")


def test_a_column_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no row has a"):
        require_classes(write_labels(tmp_path, "", ""), "label")
