"""The validation share of pairs."""

import random

import numpy as np
import numpy.typing as npt
import pytest

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.product_pair import ProductPair
from twinshelf.training.pairs.held_out import held_out_rows
from twinshelf.training.pairs.pair_config import HeldOutConfig


def pair(left: int, right: int, is_match: bool) -> ProductPair:
    return ProductPair(
        left=Product(product_id=str(left)), right=Product(product_id=str(right)), is_match=is_match
    )


def drawn_pairs(count: int, seed: int, product_count: int) -> list[ProductPair]:
    generator = random.Random(seed)
    pairs = [generator.sample(range(product_count), 2) for _ in range(count)]
    return [pair(left, right, generator.random() < 0.4) for left, right in pairs]


def products_of(pairs: list[ProductPair], rows: npt.NDArray[np.bool_]) -> set[str]:
    return {
        p.product_id for row in np.flatnonzero(rows) for p in (pairs[row].left, pairs[row].right)
    }


def names_of(pairs: list[ProductPair], rows: npt.NDArray[np.bool_]) -> set[tuple[str, str]]:
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
    for share in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="share must be between 0 and 1"):
            HeldOutConfig(validation_share=share)
