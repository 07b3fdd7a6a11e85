"""The vote of neighbours is that of the batch command."""

from __future__ import annotations

import numpy as np
import pytest

from twinshelf.server.services.matching import category_vote
from twinshelf.server.services.matching.category_vote import count_votes, cut_path
from twinshelf.training.categories.category_labels import Labels
from twinshelf.training.categories.knn import vote
from twinshelf.training.evaluation import category_vote as of_training
from twinshelf.training.retrieval.exact_search import NO_CANDIDATE, Candidates

NAMES = ("", "Tea", "Tea/Green", "Coffee", "Mugs")


def test_the_temperature_is_that_of_training() -> None:
    assert category_vote.TEMPERATURE == of_training.TEMPERATURE


@pytest.mark.parametrize("neighbour_count", [1, 2, 7, 20, 40])
@pytest.mark.parametrize("found_count", [0, 1, 15, 40])
def test_category_and_margin_are_those_of_training(neighbour_count: int, found_count: int) -> None:
    generator = np.random.default_rng(neighbour_count + 100 * found_count)
    query_count, product_count = 50, 60
    names = generator.choice(NAMES, product_count, p=[0.3, 0.2, 0.2, 0.2, 0.1]).tolist()
    items = np.full((query_count, 40), NO_CANDIDATE)
    scores = np.full((query_count, 40), -np.inf, np.float32)
    for row in range(query_count):
        items[row, :found_count] = generator.permutation(product_count)[:found_count]
        # Two decimals, so that scores and sums are often equal.
        drawn = np.sort(generator.uniform(0.5, 1, found_count).round(2))[::-1]
        scores[row, :found_count] = drawn
    labels = Labels.of(names)
    expected = vote(Candidates(items=items, scores=scores), labels.numbers(names), neighbour_count)
    for row in range(query_count):
        found = count_votes(
            [names[item] for item in items[row, :found_count]],
            scores[row, :found_count].tolist(),
            neighbour_count,
        )
        number = expected.numbers[row]
        assert found.category == ("" if number < 0 else labels.names[number])
        assert found.margin == pytest.approx(expected.margins[row], abs=1e-9)


def test_shares_are_of_those_that_have_a_vote() -> None:
    found = count_votes(["Tea", "", "Coffee", "Tea"], [0.9, 0.9, 0.9, 0.83], 4)
    weight = float(np.exp(-1))
    assert found.vote_shares == pytest.approx(
        [1 / (2 + weight), 0, 1 / (2 + weight), weight / (2 + weight)]
    )
    assert found.category_shares == pytest.approx(
        {"Tea": (1 + weight) / (2 + weight), "Coffee": 1 / (2 + weight)}
    )
    assert list(found.category_shares) == ["Tea", "Coffee"]


def test_of_equal_sums_the_category_that_came_first_wins() -> None:
    found = count_votes(["Coffee", "Tea"], [0.8, 0.8], 2)
    assert (found.category, found.margin) == ("Coffee", 0.0)


@pytest.mark.parametrize(
    ("category", "level_count", "expected"),
    [
        ("Grocery/Coffee/Beans", 0, "Grocery/Coffee/Beans"),
        ("Grocery/Coffee/Beans", 1, "Grocery"),
        ("Grocery/Coffee/Beans", 2, "Grocery/Coffee"),
        ("Grocery/Coffee/Beans", 9, "Grocery/Coffee/Beans"),
        ("Grocery > Coffee > Beans", 2, "Grocery > Coffee"),
        ("Home >> Garden >> Tools", 2, "Home >> Garden"),
        ("Grocery// Coffee / ", 2, "Grocery// Coffee"),
        ("/Grocery/Coffee", 1, "/Grocery"),
        ("Mugs", 1, "Mugs"),
        ("  ", 0, ""),
        ("", 1, ""),
        ("x" * 1024, 0, "x" * 1024),
        ("x" * 1025, 0, ""),
        ("Grocery/" + "é" * 505 + " / Beans", 0, "Grocery/" + "é" * 505),
        ("Grocery/" + "é" * 509 + " / Beans", 0, "Grocery"),
        ("Grocery/" + "é" * 509, 1, "Grocery"),
    ],
)
def test_paths_are_cut_after_the_levels_that_are_asked_for(
    category: str, level_count: int, expected: str
) -> None:
    assert cut_path(category, level_count) == expected
