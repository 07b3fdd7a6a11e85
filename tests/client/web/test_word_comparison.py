"""What two titles have in common, and where they clash."""

from __future__ import annotations

import pytest

from twinshelf.client.web.word_comparison import compare_words


@pytest.mark.parametrize(
    ("left", "right", "agreeing", "clashing"),
    [
        ("Red Tea 500ml", "red tea, 500 ML", ("Red", "Tea", "500ml"), ()),
        ("Tea 500 ml", "Tea 250 ml", ("Tea",), ("500 ml", "250 ml")),
        ("Tea 500 ml", "Tea 50 bags", ("Tea",), ()),
        ("Pack of 3", "Pack of 6", ("Pack", "of"), ("3", "6")),
        ("Galaxy S21 5G", "Galaxy S22 5G", ("Galaxy", "5G"), ()),
        ("1,5 kg", "1.5kg", ("1,5 kg",), ()),
        ("1.0 kg", "1 kg", ("1.0 kg",), ()),
        ("0.50 l", "0,5 l", ("0.50 l",), ()),
        ("1,000 g", "1000 g", ("1,000 g",), ()),
        ("1.000 g", "1000 g", ("1.000 g",), ()),
        ("1.500 kg", "1,5 kg", ("1.500 kg",), ()),
        ("12,345,678.50", "12.345.678,5", ("12,345,678.50",), ()),
        ("1,000 g", "1000.5 g", (), ("1,000 g", "1000.5 g")),
        ("0.100 l", "100 l", (), ("0.100 l", "100 l")),
        ("9007199254740993", "9007199254740992", (), ("9007199254740993", "9007199254740992")),
        ("1.2.3", "1.2.30", (), ("1.2.3", "1.2.30")),
        ("10 red cups", "10 blue cups", ("10", "cups"), ()),
        ("Кофе 1 kg", "КОФЕ 2 kg", ("Кофе",), ("1 kg", "2 kg")),
        ("", "tea", (), ()),
    ],
)
def test_words_and_amounts_agree_or_clash(
    left: str, right: str, agreeing: tuple[str, ...], clashing: tuple[str, ...]
) -> None:
    comparison = compare_words(left, right)
    assert comparison.agreeing == agreeing and comparison.clashing == clashing


@pytest.mark.parametrize(
    "text", ["Tea, 500 ml (red)!", "  10  cups ", "«чай» 5×20", "\t", "é1²", "1,5.5 1.,2 ٣٫٥ ٣.٥"]
)
def test_the_pieces_are_the_text(text: str) -> None:
    comparison = compare_words(text, "tea 20 cups")
    assert "".join(piece.text for piece in comparison.left) == text
