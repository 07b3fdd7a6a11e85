"""Wording: makers write in full, sellers carelessly, and the product stays recognisable."""

from __future__ import annotations

import random

import pytest

from tests.generated_catalogue.assortment import Item, assemble_assortment
from tests.generated_catalogue.vocabulary import Size
from tests.generated_catalogue.wording import word_canonically, word_offer


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return assemble_assortment(60, seed=8)


def test_the_maker_names_all_that_sets_a_product_apart(items: list[Item]) -> None:
    for item in items:
        wording = word_canonically(item)
        for part in (item.brand.name, item.line, item.variant.english, item.size.printed("en")):
            assert part in wording.title
        assert item.variant.russian in wording.description
    assert len({word_canonically(item).title for item in items}) == len(items)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_sellers_reword_in_one_language(language: str, items: list[Item]) -> None:
    rng = random.Random(1)
    titles = [word_offer(item, language, rng).title for item in items]
    originals = [word_canonically(item).title for item in items]
    assert sum(title == original for title, original in zip(titles, originals, strict=True)) < 10
    cyrillic = [any("а" <= letter <= "я" for letter in title.lower()) for title in titles]
    assert all(cyrillic) if language == "ru" else not any(cyrillic)


def test_some_sellers_leave_fields_empty_and_some_write_html(items: list[Item]) -> None:
    rng = random.Random(2)
    wordings = [word_offer(item, "en", rng) for item in items * 3]
    assert any(not wording.brand for wording in wordings)
    assert any(not wording.category for wording in wordings)
    assert any(not wording.description for wording in wordings)
    assert any("<p>" in wording.description for wording in wordings)
    assert all(wording.title for wording in wordings)


def test_equal_random_states_give_equal_words(items: list[Item]) -> None:
    assert word_offer(items[0], "ru", random.Random(9)) == word_offer(
        items[0], "ru", random.Random(9)
    )


def test_russian_amounts_have_a_decimal_comma() -> None:
    assert Size(1.5, "l").printed("ru") == "1,5 л"
    assert Size(1.5, "l").printed("en") == "1.5 l"
    assert Size(100, "bags").printed("en") == "100 bags"
