"""Checking rows, and splitting them for matching."""

import random
from dataclasses import replace

import pytest
from PIL import Image

from tests.training.catalogues.photos import write_broken_photo, write_photo
from training.catalogues.reading import checked, separate, split_by_group
from training.preprocessing.settings import PreprocessingSettings
from training.product import BadRow, Product

SETTINGS = PreprocessingSettings()


def check(*rows, settings=SETTINGS):
    return list(checked(rows, settings, source="rows"))


def reason_of(product, settings=SETTINGS) -> str:
    [row] = check(product, settings=settings)
    assert isinstance(row, BadRow)
    return row.reason


def test_good_rows_pass_unchanged_in_their_order(tmp_path):
    photo = write_photo(tmp_path / "a.jpg")
    rows = [
        Product(product_id="1", title="Tea"),
        Product(product_id="2", images=(photo,)),
        BadRow(source="t.csv", row_number=3, reason="is odd"),
        Product(product_id="4", title="Tea", images=(photo, photo)),
    ]
    assert check(*rows) == rows


def test_a_row_with_nothing_to_embed_is_bad():
    assert "nothing to embed" in reason_of(Product(product_id="1"))
    assert "nothing to embed" in reason_of(Product(product_id="1", title="<br> &nbsp;"))
    assert "nothing to embed" in reason_of(Product(product_id="1", seller="Shop", group="g"))
    only_title = PreprocessingSettings(text_fields=("title",))
    assert "title" in reason_of(Product(product_id="1", brand="Acme"), settings=only_title)


def test_missing_and_unreadable_photos_are_bad(tmp_path):
    missing = tmp_path / "none.jpg"
    assert reason_of(Product(product_id="1", images=(missing,))) == f"photo {missing} is missing"
    below_a_file = write_photo(tmp_path / "a.jpg") / "b.jpg"
    assert "is missing" in reason_of(Product(product_id="1", images=(below_a_file,)))
    assert "cannot be read" in reason_of(Product(product_id="1", images=(tmp_path,)))
    assert "cannot be read" in reason_of(Product(product_id="1", images=(tmp_path / ("x" * 999),)))


def test_broken_photos_are_bad_even_beside_good_ones(tmp_path):
    good, broken = write_photo(tmp_path / "a.jpg"), write_broken_photo(tmp_path / "b.jpg")
    reason = reason_of(Product(product_id="1", title="Tea", images=(good, broken)))
    assert "b.jpg" in reason and "broken or cut off" in reason
    (tmp_path / "c.jpg").write_bytes(b"")
    assert "empty" in reason_of(Product(product_id="1", images=(tmp_path / "c.jpg",)))
    (tmp_path / "d.jpg").write_text("<html>not found</html>")
    assert "not a JPEG" in reason_of(Product(product_id="1", images=(tmp_path / "d.jpg",)))


def test_a_large_jpeg_cut_near_its_end_is_bad(tmp_path):
    path = tmp_path / "a.jpg"
    Image.effect_noise((800, 600), 90).save(path, "JPEG")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.95 * len(data))])
    assert "broken or cut off" in reason_of(Product(product_id="1", images=(path,)))


def test_the_pixel_limit_holds(tmp_path):
    photo = write_photo(tmp_path / "a.jpg")
    small = replace(SETTINGS, max_pixels=100)
    assert "megapixels" in reason_of(Product(product_id="1", images=(photo,)), settings=small)


def test_the_second_of_two_with_one_identifier_is_bad():
    first, second, third = check(
        Product(product_id="1", title="Tea"),
        Product(product_id="1", title="Other"),
        Product(product_id="2", title="Tea"),
    )
    assert isinstance(first, Product) and isinstance(third, Product)
    assert str(second) == "rows, row 2: product_id '1' stands in an earlier row already"


def test_an_identifier_of_a_bad_row_is_free_again():
    rows = check(Product(product_id="1"), Product(product_id="1", title="Tea"))
    assert [type(row) for row in rows] == [BadRow, Product]


def test_checking_is_lazy():
    def rows():
        yield Product(product_id="1", title="Tea")
        raise AssertionError("read too far")

    assert next(checked(rows(), SETTINGS)).product_id == "1"


def grouped(group_count, row_count=4):
    return [
        Product(product_id=f"{group}-{row}", title="x", group=f"g{group}")
        for group in range(group_count)
        for row in range(row_count)
    ]


def groups_of(products):
    return {product.group for product in products}


def test_a_group_never_stands_on_both_sides_and_a_fifth_is_held_out():
    data = split_by_group(grouped(50), seed=42)
    assert not groups_of(data.train) & groups_of(data.queries)
    assert len(groups_of(data.queries)) == 10
    assert len(groups_of(data.train)) == 40
    assert len(data.train) == 160 and len(data.queries) == 30


def test_the_gallery_has_the_first_row_of_every_group_and_no_query():
    data = split_by_group(grouped(50), seed=42)
    assert [product.product_id for product in data.gallery] == [f"{g}-0" for g in range(50)]
    ids = {product.product_id for product in data.gallery}
    assert not ids & {product.product_id for product in data.queries}


def test_every_query_has_its_product_in_the_gallery():
    data = split_by_group(grouped(50) + grouped(7, 1), seed=1)
    assert groups_of(data.queries) <= groups_of(data.gallery)


def test_the_split_depends_on_the_seed_and_not_on_the_order():
    rows = grouped(50)
    shuffled = random.Random(0).sample(rows, len(rows))
    held_out = groups_of(split_by_group(rows, seed=42).queries)
    assert held_out == groups_of(split_by_group(shuffled, seed=42).queries)
    assert held_out != groups_of(split_by_group(rows, seed=43).queries)


def test_rows_without_a_group_are_groups_of_their_own():
    rows = [Product(product_id=str(number), title="x") for number in range(10)]
    data = split_by_group(rows, seed=42)
    assert data.queries == ()
    assert len(data.gallery) == 10 and len(data.train) == 8
    assert len(groups_of(data.gallery)) == 10


def test_single_rows_do_not_change_the_share_of_queries():
    singles = [Product(product_id=f"s{number}", title="x") for number in range(500)]
    data = split_by_group(singles + grouped(50), seed=42)
    assert len(groups_of(data.queries)) == 10


@pytest.mark.parametrize("group_count", [0, 1, 2, 3])
def test_few_groups_leave_something_to_train_on(group_count):
    data = split_by_group(grouped(group_count), seed=42)
    assert bool(data.train) == (group_count > 0)
    assert bool(data.queries) == (group_count > 1)
    assert len(data.gallery) == group_count


def test_bad_rows_are_kept_apart():
    bad = BadRow(source="t.csv", row_number=1, reason="is odd")
    products, bad_rows = separate([bad, *grouped(1)])
    assert (products, bad_rows) == (tuple(grouped(1)), (bad,))
    assert split_by_group([bad, *grouped(5)], seed=0).bad_rows == (bad,)
