"""Editions, colours, years and versions."""

from twinshelf.training.pairs.pair_tokens import canonical_word, words
from twinshelf.training.pairs.product_variants import (
    EDITIONS,
    colours,
    editions,
    plain_numbers,
    versions,
    years,
)


def forms(text: str) -> list[str]:
    return [canonical_word(word) for word in words(text)]


def test_editions_have_one_name_for_all_spellings() -> None:
    assert editions(words("Office Pro Upgrade (Mac)")) == {"professional", "upgrade", "mac"}
    assert editions(words("office professional upg macintosh")) == {
        "professional",
        "upgrade",
        "mac",
    }
    assert editions(words("Windows комплект")) == {"windows", "bundle"} <= set(EDITIONS)
    assert editions(words("camera")) == set()


def test_colours_in_two_languages_are_one() -> None:
    assert colours(words("Gray чёрный")) == colours(words("grey black")) == {"grey", "black"}


def test_years_versions_and_other_numbers_are_told_apart() -> None:
    found = forms("Final Fantasy VII 2007 v3.0 300 cs3")
    assert plain_numbers(found) == {"7", "2007", "3", "300"}
    assert years(found) == {"2007"}
    assert versions(found) == {"7", "3"}
