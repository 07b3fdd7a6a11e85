"""The validation split: nothing on both sides, and of the kind that the queries are."""

import pytest

from training.catalogues.table import write_table
from training.product import Product
from training.training_data import DataConfig, load_training_data, split_validation


def rows_of(group: str, names: str) -> list[Product]:
    return [
        Product(product_id=f"{group}-{name}", title=f"{group} {name}", group=group)
        for name in names
    ]


TRAIN = [row for number in range(10) for row in rows_of(f"g{number}", "cabd")]
GALLERY = [rows_of(f"g{number}", "c")[0] for number in range(12)]


def test_whole_groups_are_taken_when_queries_show_new_groups():
    queries = rows_of("g11", "xy")
    train, validation = split_validation(TRAIN, GALLERY, queries, 0.2, seed=42)
    taken = {row.group for row in validation}
    assert len(taken) == 2
    assert taken.isdisjoint(row.group for row in train)
    assert len(train) == 32
    # The catalogue's own row is searched, not searched with.
    assert len(validation) == 6
    assert {row.product_id for row in GALLERY}.isdisjoint(row.product_id for row in validation)


def test_single_offers_are_taken_when_queries_show_known_groups():
    queries = rows_of("g3", "xy")
    train, validation = split_validation(TRAIN, GALLERY, queries, 0.3, seed=42)
    assert len(validation) == round(0.3 * 20)
    assert len(train) + len(validation) == len(TRAIN)
    assert {row.product_id for row in train}.isdisjoint(row.product_id for row in validation)
    for number in range(10):
        left = [row for row in train if row.group == f"g{number}"]
        assert len(left) >= 2


def test_the_same_seed_takes_the_same_rows():
    first = split_validation(TRAIN, GALLERY, [], 0.3, seed=1)
    assert split_validation(TRAIN, GALLERY, [], 0.3, seed=1) == first
    assert split_validation(TRAIN, GALLERY, [], 0.3, seed=2) != first


def test_groups_that_the_gallery_lacks_and_rows_without_a_group_are_never_taken():
    strangers = [*rows_of("other", "ab"), Product(product_id="lone", title="lone")]
    train, validation = split_validation([*TRAIN, *strangers], GALLERY, [], 0.5, seed=1)
    assert validation
    assert all(stranger in train and stranger not in validation for stranger in strangers)


def test_a_share_of_zero_trains_on_everything():
    assert split_validation(TRAIN, GALLERY, [], 0.0, seed=1) == (tuple(TRAIN), ())


def test_tables_are_read_back(tmp_path):
    for name, rows in (("train", TRAIN), ("gallery", GALLERY), ("queries", rows_of("g11", "x"))):
        write_table(tmp_path / f"{name}.parquet", rows)
    data = load_training_data(DataConfig(folder=str(tmp_path)), seed=42)
    assert len(data.train) + len(data.validation) == len(TRAIN) - 1
    assert [row.product_id for row in data.gallery] == [row.product_id for row in GALLERY]
    assert len(data.queries) == 1


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train\.parquet: run training\.prepare first"):
        load_training_data(DataConfig(folder=str(tmp_path)), seed=42)


@pytest.mark.parametrize(
    "values", [{"validation_share": 0.6}, {"worker_count": -1}, {"embedding_batch_size": 0}]
)
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        DataConfig(**values)
