"""Tokens of product texts."""

import pytest

from twinshelf.training.pairs.pair_tokens import (
    canonical_word,
    character_ngrams,
    compact,
    model_codes,
    numbers,
    pieces,
    quantities,
    words,
)


def test_words_keep_marks_inside_and_drop_those_outside() -> None:
    assert words("Sony (DSC-W170), 7.0 a/b - 'x' Чайник!") == [
        "sony", "dsc-w170", "7.0", "a/b", "x", "чайник",
    ]  # fmt: skip


def test_pieces_part_letters_from_digits() -> None:
    assert pieces("DSCW170 2.5kg") == ["dscw", "170", "2.5", "kg"]


def test_compact_text_has_only_letters_and_digits() -> None:
    assert compact("DSC-W 170/б_") == "dscw170б"


@pytest.mark.parametrize(
    "spellings",
    [
        ("1 TB", "1000gb", "1 to", "1 ТБ"),
        ("24 '", '24"', "24-inch", "24 inches", "24 дюймов"),
        ("2,5 кг", "2500 g", "2.5kg"),
        ("0.5 л", "500 мл", "500ml"),
        ("1,5 kW", "1500 Вт"),
        ("10 cm", "100 мм"),
    ],
)
def test_spellings_of_one_quantity_are_one(spellings: tuple[str, ...]) -> None:
    found = [quantities(text) for text in spellings]
    assert len(found[0]) == 1
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize(
    ("text", "amounts"),
    [("1,000 ml", {1.0, 1000.0}), ("1.500 l", {1500.0, 1_500_000.0}), ("0.500 l", {500.0})],
)
def test_an_amount_of_thousands_may_be_a_decimal_too(text: str, amounts: set[float]) -> None:
    assert quantities(text) == {("ml", amount) for amount in amounts}


@pytest.mark.parametrize("text", ["7 dwarfs", "w170", "abc", "5 gbit", ""])
def test_what_has_no_known_unit_is_no_quantity(text: str) -> None:
    assert quantities(text) == set()


def test_numbers_are_compared_by_value() -> None:
    assert numbers("2.70 and 7.0, 300") == numbers("2.7 7 300.0") == {"2.7", "7", "300"}
    assert numbers("1,000 of 2,5") == {"1", "1000", "2.5"}
    assert numbers("4006381333931 1000000.50") == {"4006381333931", "1000000.5"}


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Sony DSC-W170/B black", {"dscw170b"}),
        ("dscw170", {"dscw170"}),
        ("388504-B21 HP", {"388504b21"}),
        ("windows 2007 xp", set()),
        ("part 23456", {"23456"}),
        ("w17 abc", set()),
        ("Пылесос ВС-2000", {"вс2000"}),
    ],
)
def test_model_codes(text: str, codes: set[str]) -> None:
    assert model_codes(text) == codes


@pytest.mark.parametrize(
    ("word", "canonical"),
    [("ii", "2"), ("xiv", "14"), ("v2", "2"), ("ver7.0", "7"), ("7.0", "7"), ("2007", "2007"),
     ("i", "i"), ("x", "x"), ("v", "v"), ("1234567", "1234567"), ("чай", "чай"), ("w170", "w170")],
)  # fmt: skip
def test_canonical_words(word: str, canonical: str) -> None:
    assert canonical_word(word) == canonical


def test_character_ngrams_are_those_of_a_slow_loop() -> None:
    text = "Чай tea a"
    expected: dict[str, int] = {}
    for word in ("чай", "tea", "a"):
        padded = f" {word} "
        for n in (2, 3, 4, 5):
            grams = {(i, padded[i : i + n]) for i in range(len(padded)) if i + n <= len(padded)}
            for _, gram in grams or {(0, padded)}:
                expected[gram] = expected.get(gram, 0) + 1
    assert character_ngrams(text) == expected
