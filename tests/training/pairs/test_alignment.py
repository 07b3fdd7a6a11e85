"""Alignment of words that are spelled differently."""

import math

import pytest

from twinshelf.training.pairs.alignment import Alignment, WordLookup, align_words, longest_run
from twinshelf.training.pairs.pair_tokens import compact
from twinshelf.training.pairs.statistics import TokenStatistics

STATISTICS = TokenStatistics.count([["sony", "camera"], ["sony", "tv"], ["photoshop"]])


def align(left: str, right: str) -> Alignment:
    rarity = {word: STATISTICS.inverse_frequency(word) for word in left.split()}
    return align_words(rarity, WordLookup(set(right.split()), compact(right)))


def test_all_words_found_is_one_and_none_is_zero() -> None:
    assert align("sony tv", "tv by sony").found_share == 1
    nothing = align("sony tv", "canon")
    assert nothing.found_share == 0 and nothing.missing_count == 2
    assert nothing.rarest_missing == pytest.approx(STATISTICS.inverse_frequency("tv"))


def test_a_typo_counts_for_less_than_the_word_and_more_than_nothing() -> None:
    typo = align("photoshp", "photoshop")
    assert 0.5 < typo.found_share < 1 and typo.missing_count == 0


def test_joined_words_are_found() -> None:
    assert align("photoshop", "photo shop").found_share == pytest.approx(0.95)


def test_words_with_digits_need_the_same_digits() -> None:
    assert align("w170", "w270").found_share == 0


def test_no_words_know_nothing() -> None:
    assert math.isnan(align("", "sony").found_share)


def slow_dice(left: str, right: str) -> float:
    pairs = [{f" {w} "[i : i + 2] for i in range(len(w) + 1)} for w in (left, right)]
    return 2 * len(pairs[0] & pairs[1]) / (len(pairs[0]) + len(pairs[1]))


@pytest.mark.parametrize(
    ("word", "others"), [("night", "nacht nicht"), ("чай", "чаи"), ("photoshp", "photo photoshop")]
)
def test_similarity_is_the_best_dice_of_letter_pairs_from_one_half_on(
    word: str, others: str
) -> None:
    best = max(slow_dice(word, other) for other in others.split())
    found = WordLookup(set(others.split()), "").similarity(word)
    assert found == pytest.approx(best if best >= 0.5 else 0)
    assert WordLookup({"w"}, "").similarity("w") == 1


def test_longest_run_is_that_of_a_slow_loop() -> None:
    left, right = "adobephotoshopcs3", "photoshopcs2adobe"
    slow = max(
        j - i for i in range(len(left)) for j in range(i, len(left) + 1) if left[i:j] in right
    )
    assert longest_run(left, right) == slow == len("photoshopcs")
