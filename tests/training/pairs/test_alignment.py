"""Alignment of words that are spelled differently."""

import math

import pytest

from training.pairs.alignment import align_words, longest_run, word_similarity
from training.pairs.statistics import TokenStatistics
from training.pairs.tokens import compact

STATISTICS = TokenStatistics.count([["sony", "camera"], ["sony", "tv"], ["photoshop"]])


def align(left, right):
    return align_words(left.split(), set(right.split()), compact(right), STATISTICS)


def test_all_words_found_is_one_and_none_is_zero():
    assert align("sony tv", "tv by sony").found_share == 1
    nothing = align("sony tv", "canon")
    assert nothing.found_share == 0 and nothing.missing_count == 2
    assert nothing.rarest_missing == pytest.approx(STATISTICS.inverse_frequency("tv"))


def test_a_typo_counts_for_less_than_the_word_and_more_than_nothing():
    typo = align("photoshp", "photoshop")
    assert 0.5 < typo.found_share < 1 and typo.missing_count == 0


def test_joined_words_are_found():
    assert align("photoshop", "photo shop").found_share == pytest.approx(0.95)


def test_words_with_digits_need_the_same_digits():
    assert align("w170", "w270").found_share == 0


def test_no_words_know_nothing():
    assert math.isnan(align("", "sony").found_share)


def slow_dice(left, right):
    pairs = [{f" {w} "[i : i + 2] for i in range(len(w) + 1)} for w in (left, right)]
    return 2 * len(pairs[0] & pairs[1]) / (len(pairs[0]) + len(pairs[1]))


@pytest.mark.parametrize(("left", "right"), [("night", "nacht"), ("чай", "чаи"), ("a", "a")])
def test_similarity_is_dice_of_letter_pairs(left, right):
    assert word_similarity(left, right) == pytest.approx(slow_dice(left, right))
    assert word_similarity(left, right) == word_similarity(right, left)


def test_longest_run_is_that_of_a_slow_loop():
    left, right = "adobephotoshopcs3", "photoshopcs2adobe"
    slow = max(
        j - i for i in range(len(left)) for j in range(i, len(left) + 1) if left[i:j] in right
    )
    assert longest_run(left, right) == slow == len("photoshopcs")
