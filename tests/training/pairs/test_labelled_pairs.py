"""Labelled pairs by what a file or folder holds."""

import math
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.training.catalogues.ecup_tables import (
    IDS,
    PICTURE_SIZE,
    write_pairs,
    write_pictures,
    write_tables,
)
from tests.training.catalogues.rows import good_rows
from tests.training.pairs.made_ecup import make_ecup
from twinshelf.server.command_line import read_command_line
from twinshelf.training.catalogues.ecup import read_ecup_pairs, read_ecup_vectors
from twinshelf.training.catalogues.entity_pairs import read_entity_pairs
from twinshelf.training.catalogues.product import Pair, Product
from twinshelf.training.pairs.cosines import compare_vectors
from twinshelf.training.pairs.features import Cosines, feature_matrix
from twinshelf.training.pairs.labelled_pairs import (
    LabelledPairs,
    held_out_rows,
    read_pairs,
    read_training_pairs,
)
from twinshelf.training.pairs.pair_config import HeldOutConfig
from twinshelf.training.pairs.statistics import TokenStatistics

ONES = [[1.0] * PICTURE_SIZE]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tables(tmp_path)
    return tmp_path


def read_both(folder: Path, **options: Any) -> tuple[LabelledPairs, LabelledPairs]:
    with_encoder = options.pop("with_encoder", False)
    return read_training_pairs(folder, HeldOutConfig(**options), with_encoder=with_encoder)


def cosines_of(pairs: LabelledPairs) -> Sequence[Cosines]:
    assert pairs.cosines is not None
    return pairs.cosines


def test_dittos_files_are_read_whole_and_without_cosines(pair_folder: Path) -> None:
    train, validation = read_both(pair_folder)
    assert train.pairs == list(read_entity_pairs(pair_folder / "train.txt"))
    assert validation.pairs == list(read_entity_pairs(pair_folder / "valid.txt"))
    assert train.cosines is None and read_pairs(pair_folder / "test.txt").cosines is None


def test_raw_fields_become_records_and_vectors_become_cosines(folder: Path) -> None:
    found = read_pairs(folder, with_vectors=True)
    assert found.pairs == list(read_ecup_pairs(folder))
    assert found.labels.tolist() == [True, False, False]
    vectors = good_rows(read_ecup_vectors(folder))
    assert list(map(repr, cosines_of(found))) == [
        repr(compare_vectors(pair.left, pair.right)) for pair in vectors
    ]
    assert all(math.isnan(cosine.fused) for cosine in cosines_of(found))
    assert read_pairs(folder).cosines is None


def test_main_pictures_are_compared_beside_the_best_of_all(folder: Path) -> None:
    write_pictures(
        folder,
        IDS,
        main=[[[3.0, 4.0, 0.0, 0.0]], [[8.0, 6.0, 0.0, 0.0]], [[0.0, 0.0, 2.0, 0.0]], None],
        further=[[[0.0, 0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0, 9.0]], None, [[0.0, 0.0, 6.0, 8.0]]],
    )
    found = read_pairs(folder, with_vectors=True)
    # 11 and 12: (24 + 24) / (5 · 10), and a shared further picture; 13 and 14: 12 / (2 · 10) with a
    # further one, as 14 has no main one; 11 and 13: nothing alike.
    statistics = TokenStatistics.count([["word"]])
    names, features = feature_matrix(found.sides, statistics, found.cosines)
    columns = [names.index(name) for name in ("image_cosine", "main_image_cosine")]
    expected = np.array([[1, 0.96], [0.6, np.nan], [0, 0]])
    np.testing.assert_allclose(features[:, columns], expected, atol=1e-5)


def test_where_no_product_has_further_pictures_the_main_ones_are_the_best(folder: Path) -> None:
    write_pictures(
        folder,
        IDS,
        main=[[[1.0, 0.0, 0.0, 0.0]], [[3.0, 4.0, 0.0, 0.0]], [[0.0, 1.0, 0.0, 0.0]], None],
        further=[None] * 4,
    )
    found = cosines_of(read_pairs(folder, with_vectors=True))
    assert [cosine.main_image for cosine in found[::2]] == pytest.approx([0.6, 0])
    assert [repr(cosine.main_image) for cosine in found] == [repr(c.image) for c in found]


def test_a_file_of_pairs_is_read_by_the_tables_beside_it(folder: Path) -> None:
    write_pairs(folder, [(12, 14, 1), (11, 13, 0)], "mine.parquet")
    found = read_pairs(folder / "mine.parquet", with_vectors=True)
    assert [side.product_id for side in found.sides[0]] == ["12", "14"]
    assert len(found.pairs) == len(cosines_of(found)) == 2


def test_rows_are_taken_with_their_cosines(folder: Path) -> None:
    found = read_pairs(folder, with_vectors=True)
    taken = found.take([2, 0])
    assert taken.pairs == [found.pairs[2], found.pairs[0]]
    assert taken.cosines == [cosines_of(found)[2], cosines_of(found)[0]]


def test_bad_rows_cost_themselves_alone_and_are_named_by_file_row_and_column(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(11, 12, 1), (13, 14, 0), (11, 13, 0), (11, 99, 0), (11, 14, 3), (11, None, 0)]
    write_pairs(folder, rows)
    write_pictures(folder, IDS, main=[ONES, ONES, ONES, [[1.0, float("nan"), 1.0, 1.0]]])
    found = read_pairs(folder, with_vectors=True)
    assert [pair.right.product_id for pair in found.pairs] == ["12", "13"]
    assert len(cosines_of(found)) == 2
    for message in (
        "skipped train.parquet, row 2: resnet.parquet, row 4, column "
        "'main_pic_embeddings_resnet_v1': an embedding holds NaN or infinity",
        "row 4: variantid '99' stands in no row of text_and_bert.parquet",
        "row 5: column 'target' must be 0 or 1, got '3'",
        "row 6: column 'variantid2' is empty",
        "skipped 4 rows, kept 2 pairs",
    ):
        assert message in caplog.text


def test_without_pictures_or_with_an_encoder_raw_fields_are_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_ecup(tmp_path, pair_count=40)
    train, validation = read_both(tmp_path, with_encoder=True)
    assert train.cosines is None and validation.cosines is None and not caplog.text
    assert read_both(tmp_path)[0].cosines is not None
    (tmp_path / "resnet.parquet").unlink()
    train, validation = read_both(tmp_path)
    assert train.cosines is None and validation.cosines is None
    assert "resnet.parquet: only raw fields are compared" in caplog.text


def test_validation_pairs_are_a_share_of_other_products(tmp_path: Path) -> None:
    make_ecup(tmp_path, pair_count=50, held_out_count=20)
    train, validation = read_both(tmp_path / "held_out.parquet", validation_share=0.2)
    assert (len(train.pairs), len(cosines_of(validation))) == (16, 4)
    train, validation = read_both(tmp_path, validation_share=0.2)
    assert (len(train.pairs), len(validation.pairs)) == (40, 10)
    assert len(cosines_of(validation)) == 10
    ids = [{p.product_id for side in part.sides for p in side} for part in (train, validation)]
    assert not ids[0] & ids[1]
    whole = read_pairs(tmp_path, with_vectors=True)
    pairs = zip(whole.pairs, cosines_of(whole), strict=True)
    cosine_of = {pair.left.product_id: repr(cosine) for pair, cosine in pairs}
    for part in (train, validation):
        expected = [cosine_of[pair.left.product_id] for pair in part.pairs]
        assert [repr(cosine) for cosine in cosines_of(part)] == expected


def test_targets_of_one_class_are_refused(folder: Path) -> None:
    write_pairs(folder, [(11, 12, 1), (13, 14, 1)])
    with pytest.raises(ValueError, match=r"train\.parquet, column 'target': every label is '1'"):
        read_pairs(folder)
    write_pairs(folder, [(11, 12, 1), (13, 99, 0)])
    with pytest.raises(ValueError, match="needs matches and non-matches, got 1 pairs of one class"):
        read_pairs(folder)


def test_too_few_pairs_to_hold_some_out_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"train\.parquet: holding pairs out needs two matches"):
        read_both(folder)


@pytest.mark.parametrize("name", ["attributes", "text_and_bert", "resnet"])
def test_missing_tables_and_columns_are_named(folder: Path, name: str) -> None:
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table({"variantid": IDS}), path)
    with pytest.raises(ValueError, match=rf"{name}\.parquet has no column"):
        read_pairs(folder, with_vectors=True)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}\.parquet"):
        read_pairs(folder, with_vectors=True)


def test_a_column_of_another_kind_is_named_for_each_row(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = {
        "variantid": IDS,
        "name": ["a"] * 4,
        "description": ["b"] * 4,
        "name_bert_64": ["c"] * 4,
    }
    pq.write_table(pa.table(texts), folder / "text_and_bert.parquet")
    with pytest.raises(ValueError, match="got 0 pairs of one class"):
        read_pairs(folder, with_vectors=True)
    assert "text_and_bert.parquet, row 1, column 'name_bert_64': must hold lists" in caplog.text


def test_folders_and_files_of_another_kind_are_refused(
    folder: Path, pair_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds neither train\.txt .* nor train\.parquet"):
        read_both(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"holds no train\.parquet; expected a file of"):
        read_pairs(pair_folder)
    with pytest.raises(ValueError, match="holds no precomputed vectors, which this scorer"):
        read_pairs(pair_folder / "test.txt", with_vectors=True)
    shutil.copy(pair_folder / "train.txt", folder)
    with pytest.raises(ValueError, match=r"holds both train\.txt and train\.parquet"):
        read_both(folder)


def test_labels_are_booleans_of_one_axis(folder: Path) -> None:
    labels = read_pairs(folder).labels
    assert labels.dtype == np.bool_ and labels.shape == (3,)


def pair(left: int, right: int, is_match: bool) -> Pair[Product]:
    return Pair(
        left=Product(product_id=str(left)), right=Product(product_id=str(right)), is_match=is_match
    )


def drawn_pairs(count: int, seed: int, product_count: int) -> list[Pair[Product]]:
    generator = random.Random(seed)
    pairs = [generator.sample(range(product_count), 2) for _ in range(count)]
    return [pair(left, right, generator.random() < 0.4) for left, right in pairs]


def products_of(pairs: list[Pair[Product]], rows: npt.NDArray[np.bool_]) -> set[str]:
    return {
        p.product_id for row in np.flatnonzero(rows) for p in (pairs[row].left, pairs[row].right)
    }


def names_of(pairs: list[Pair[Product]], rows: npt.NDArray[np.bool_]) -> set[tuple[str, str]]:
    return {
        (pairs[row].left.product_id, pairs[row].right.product_id) for row in np.flatnonzero(rows)
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_no_product_stands_on_both_sides(
    seed: int, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = drawn_pairs(400, seed, product_count=1500)
    held = held_out_rows(pairs, HeldOutConfig(validation_share=share, seed=seed))
    assert not products_of(pairs, held) & products_of(pairs, ~held)
    assert 0.8 * share * 400 <= held.sum() <= share * 400
    assert not caplog.text


def test_the_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    pairs = drawn_pairs(300, 1, product_count=1200)
    shuffled = random.Random(2).sample(pairs, len(pairs))
    first, again, other = (
        names_of(rows, held_out_rows(rows, HeldOutConfig(seed=seed)))
        for rows, seed in ((pairs, 1), (shuffled, 1), (pairs, 2))
    )
    assert first == again and first != other


def test_pairs_that_all_hang_together_are_drawn_one_by_one_and_this_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pairs = [pair(number, number + 1, number % 2 == 0) for number in range(60)]  # one chain
    held = held_out_rows(pairs, HeldOutConfig(validation_share=0.2))
    assert held.sum() == 12 and sum(pairs[row].is_match for row in np.flatnonzero(held)) == 6
    shared = products_of(pairs, held) & products_of(pairs, ~held)
    assert f"{len(shared)} products stand on both sides" in caplog.text


def test_both_sides_have_both_classes_however_few_pairs_there_are() -> None:
    pairs = [pair(2 * number, 2 * number + 1, number < 2) for number in range(4)]
    labels = np.array([p.is_match for p in pairs])
    for seed in range(10):
        held = held_out_rows(pairs, HeldOutConfig(seed=seed))
        assert len(set(labels[held])) == len(set(labels[~held])) == 2


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="two matches and two non-matches, got 1 and 2"):
        held_out_rows([pair(1, 2, True), pair(3, 4, False), pair(5, 6, False)], HeldOutConfig())


@pytest.mark.parametrize("share", ["0", "1", "-0.1", ".nan"])
def test_a_share_out_of_range_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_command_line(HeldOutConfig, "draw", [f"--validation-share={share}"])
    assert "--validation-share must be above 0 to below 1" in capsys.readouterr().err
