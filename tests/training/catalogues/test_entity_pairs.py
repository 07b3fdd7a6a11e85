"""Entity-matching pairs in Ditto's form."""

from pathlib import Path

import pytest

from tests.training.catalogues.rows import bad_rows, good_rows
from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.entity_pairs import read_entity_pairs
from twinshelf.training.catalogues.product import Pair, Product

LEFT = "COL name VAL sony tv 40 ' COL description VAL lcd COL price VAL $ 1,299.90 "
RIGHT = "COL title VAL sony kdl40 COL manufacturer VAL sony COL modelno VAL kdl-40 COL price VAL "


def read(tmp_path: Path, *lines: bytes | str) -> list[Pair[Product] | BadRow]:
    path = tmp_path / "train.txt"
    path.write_bytes(
        b"".join(line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines)
    )
    return list(read_entity_pairs(path))


def test_lines_become_pairs(tmp_path: Path) -> None:
    match, other = good_rows(read(tmp_path, f"{LEFT}\t{RIGHT}\t1", f"{RIGHT}\t{LEFT}\t0"))
    assert match.is_match and not other.is_match
    assert match.left.title == "sony tv 40 '" and match.left.description == "lcd"
    assert match.right.title == "sony kdl40" and match.right.brand == "sony"
    assert (match.left.product_id, match.right.product_id) == ("train-1-left", "train-1-right")


def test_unknown_columns_become_attributes(tmp_path: Path) -> None:
    (pair,) = good_rows(read(tmp_path, f"{LEFT}\t{RIGHT}\t1"))
    assert pair.right.attributes == {"modelno": "kdl-40"} and not pair.left.attributes


@pytest.mark.parametrize(
    ("cell", "price"),
    [("$ 1,299.90", 1299.9), ("17", 17.0), ("", None), ("n/a", None), ("1.2.3", None)],
)
def test_prices_are_read_and_empty_or_odd_ones_left_out(
    cell: str, price: float | None, tmp_path: Path
) -> None:
    (pair,) = good_rows(read(tmp_path, f"COL title VAL tv COL price VAL {cell}\t{RIGHT}\t1"))
    assert pair.left.price == price and pair.right.price is None


def test_the_word_col_inside_a_value_is_no_column(tmp_path: Path) -> None:
    (pair,) = good_rows(read(tmp_path, f"COL title VAL ice COL drink COL brand VAL x\t{RIGHT}\t1"))
    assert pair.left.title == "ice COL drink" and pair.left.brand == "x"


def test_bad_lines_are_reported_by_number_and_stop_nothing(tmp_path: Path) -> None:
    rows = read(
        tmp_path,
        f"{LEFT}\t{RIGHT}",
        f"{LEFT}\t{RIGHT}\t2",
        f"no columns\t{RIGHT}\t1",
        b"COL title VAL \xff\tCOL title VAL x\t1\n",
        f"{LEFT}\t{RIGHT}\t1",
    )
    assert isinstance(rows[4], Pair)
    bad = bad_rows(rows)
    assert [row.row_number for row in bad] == [1, 2, 3, 4]
    for row, words in zip(
        bad,
        ("got 2 parts", "label must be 0 or 1, got '2'", "expected 'COL name VAL", "is not UTF-8"),
        strict=True,
    ):
        assert words in row.reason


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        list(read_entity_pairs(tmp_path / "none.txt"))
