"""Cleaning and joining of texts."""

import random
import unicodedata

import pytest

from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.texts import (
    MAX_RAW_CHARACTERS,
    clean_text,
    join_fields,
    normalise_text,
)

SETTINGS = PreprocessingSettings()


def embedded(
    fields: dict[str, str | dict[str, str]],
    settings: PreprocessingSettings = SETTINGS,
    prefix: str = "",
) -> str:
    return normalise_text(join_fields(fields, settings, prefix=prefix), settings)


# Markup, letters that are signs or nothing, and signs that become letters.
NOT_KEPT = (
    "<>&＆﹠™℠⌀ⒸⓇ\u3164\uffa0\U0001f12b\U0001f12c\U0001f16a\U0001f16b\U0001f16c\U0001f51f"
    + "".join(map(chr, (*range(0x80, 0xA0), *range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A))))
)
# Pieces that, put together at random, make every kind of trouble.
PIECES = (
    "<", ">", "&", ";", "/", "!--", "-->", "<!--", "<b>", "</b>", "<p>", "<br/>", "amp;", "&amp;",
    "&lt;", "&gt;", "lt;", "&#60;", "&#x3c;", "&nbsp;", "&quot;", "&#0;", "&#xD800;", "script",
    "<M>", "<Earl ", "</M>", "<o:p ",
    "<script>", "</script>", "<style a='", "</style>", "=", '="', "='", '"', "'", " ", "\n", "\t",
    "\u00a0", "\u200b", "\u00ad", "\ufeff", "\x00", "\x1f", "\x85", "\ud800", "＜", "＞", "＆", "ﬁ",
    "①", "½", "e\u0301", "\u0301", "\u0338", "\u0344", "\ufdfa", "Tea", "чай", "й", "и\u0306",
    "100 g", "x", "5", "´", "º", "C", "🅽", "🔟", "\u3164", "&center;", "😀",
    "\u2028", "\u202e", "a b", "|",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Green tea", "Green tea"),
        ("  Green \t\r\n tea  ", "Green tea"),
        ("<p>Green</p><p>tea</p>", "Green tea"),
        ("<b>Gr</b>een<br>tea", "Green tea"),
        ("50 cm<sup>2</sup>", "50 cm2"),
        ("<ul><li>one</li><li>two</li></ul>", "one two"),
        ("<script>alert('<b>')</script>Tea", "Tea"),
        ("Tea<style type='text/css'>p > b {}</style>bag", "Tea bag"),
        ("<STYLE>x</STYLE><SCRIPT src=a>y</SCRIPT >Tea", "Tea"),
        ("Tea<!-- <b>secret</b> -->bag", "Tea bag"),
        ("<img alt='a > b' src=x>Tea", "Tea"),
        ('<a title="it\'s > 5">Tea</a>', "Tea"),
        ("<!DOCTYPE html><?xml version='1'?>Tea", "Tea"),
        ("Marks &amp; Spencer", "Marks & Spencer"),
        ("Marks &amp;amp; Spencer", "Marks & Spencer"),
        ("&lt;b&gt;Tea&lt;/b&gt;", "Tea"),
        ("&amp;lt;b&amp;gt;Tea", "Tea"),
        ("Caf&eacute; 5&#8364; &#x41;", "Café 5€ A"),
        ("R&notebook, AT&T, a&b;", "R&notebook, AT&T, a&b;"),
        ("a < b and c > d, <3", "a < b and c > d, <3"),
        ("screen 15\" <b>new</b> 5'", "screen 15\" new 5'"),
        ("tail <b unfinished", "tail <b unfinished"),
        ("Tea <script>never closed", "Tea never closed"),
        ("Tea <!-- never closed", "Tea <!-- never closed"),
        ("ＡＢＣ ① ﬁne", "ABC 1 fine"),
        ("Wasch\u00admaschine\u200b \ufeff\u202eA", "Waschmaschine A"),
        ("a\x00b\x1fc\x85d\u2028e", "ab c d e"),
        ("broken \ud83d half", "broken half"),
        ("И\u0306огурт", "Йогурт"),
        ("<br>&nbsp;<p></p>", ""),
        ("<br>", ""),
        ("<p>&nbsp;</p>", ""),
        ("\u200b", ""),
        ("LEGO® DUPLO® Train", "LEGO DUPLO Train"),
        ("Nike Air™Max© ℠", "Nike Air Max"),
        ("coffee🔥hot ❤️ 👍🏽 1️⃣ 🇩🇪👨‍👩‍👧", "coffee hot 1"),
        ("🔥🔥", ""),
        (
            "20°C 10x20 10×20 €5 ½ № 3 ㎝ ① 5µm 3Ω ±1 50%",
            "20°C 10x20 10×20 €5 1/2 No 3 cm 1 5μm 3Ω ±1 50%",
        ),
        ("<p><![CDATA[Red tea, 50 bags]]></p>", "Red tea, 50 bags"),
        ("&lt;![CDATA[<p>Red</p> tea]]&gt;", "Red tea"),
        ("<![cdata[ Tea ]]> green <b>big</b>", "green big"),
        ("<![CDATA[a]]><img src=x ]]>green tea <b>x</b>", "a green tea x"),
        ("1½ in, 10¾ × 2⅛, 3 ¼, 1⁄2, ⌀8", "1 1/2 in, 10 3/4 × 2 1/8, 3 1/4, 1/2, Ø8"),
        ("1\u200b½ 2\u2060½ 3\ufe0f½ ¼½ 2²½ ½5 ⅟5", "1 1/2 2 1/2 3 1/2 1/4 1/2 22 1/2 1/2 5 1/5"),
        ("LEGOⓇ BIC🄬 UNO🅪 Ⓒ 2024", "LEGO BIC UNO 2024"),
        ("🅝🅘🅚🅔 🅽🅸🅺🅴 🄽 🔟 pack", "NIKE NIKE N 10 pack"),
        ("L´Oréal don´t D΄Or", "L'Oréal don't D'Or"),
        ("20˚C 20ºC 70 ºF 2º Cup 1ºCup", "20°C 20°C 70 °F 2o Cup 1oCup"),
        ("Home&center; &amp;notebook; 5&cent; &nbsp;&AMP;", "Home&center; &notebook; 5¢ &"),
        ("a\U000e0100b\u180bc\u180fd\u3164e\uffa0f\u115f\u1160g\u17b4", "abcdefg"),
        (
            "x<y; 3>2, a<b, c>d, size <M> red <Earl Grey>",
            "x<y; 3>2, a<b, c>d, size <M> red <Earl Grey>",
        ),
        ("<nom>Tea</nom> <o:p>red</o:p> <x a=1>bag<y/> </z>50", "Tea red bag 50"),
        ("&lt;M&gt; <B>&lt;Earl&gt;</B>", "<M> <Earl>"),
        ("＜NIKE＞ Air Max ﹤90﹥", "NIKE Air Max 90"),
        ("<!--> Tea <!---> green <!-- x --> bag", "Tea green bag"),
        ("Men\x92s \x8akoda\x99 10\x9612 oz \x80\x81\x8d5", "Men’s Škoda 10–12 oz €5"),
        ("★★★ best → choice ☆", "best → choice"),
        ("", ""),
    ],
)
def test_cleaning_gives(text: str, clean: str) -> None:
    assert clean_text(text) == clean


@pytest.mark.slow
def test_cleaning_a_clean_text_changes_nothing() -> None:
    generator = random.Random(42)
    for _ in range(3000):
        text = "".join(generator.choices(PIECES, k=generator.randint(1, 14)))
        once = clean_text(text)
        assert clean_text(once) == once, ascii(text)


def test_a_clean_text_is_normal_single_spaced_and_encodable() -> None:
    generator = random.Random(43)
    for _ in range(1000):
        clean = clean_text("".join(generator.choices(PIECES, k=10)))
        assert clean == " ".join(clean.split())
        assert unicodedata.is_normalized("NFKC", clean)
        assert not {unicodedata.category(c) for c in clean} & {"Cc", "Cs"}
        clean.encode("utf-8")


@pytest.mark.parametrize("depth", [1, 2, 7, 9, 30])
def test_escaping_of_any_depth_ends_in_a_fixed_point(depth: int) -> None:
    text = "<i>Tea</i> & more"
    for _ in range(depth):
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    once = clean_text(text)
    assert once == "Tea & more"
    assert clean_text(once) == once


@pytest.mark.parametrize("depth", [5, 40, 3000])
def test_markup_that_appears_as_markup_goes_ends_in_a_fixed_point(depth: int) -> None:
    text = "<" * depth + "i>" * depth
    once = clean_text(text)
    assert clean_text(once) == once
    assert "<i>" not in once


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "<", "<!--", "<a ", "<a b='", '<a b=">', "<script>", "<script></style>", "&", "&amp;",
        "&lt;", "&#60;", "&#x315;&#x300;", "a\u0315\u0300", "\u0315\u0300", "\u0f73",
        "\uff9e\u0301", "\ufdfa", "= =", "<b", "</", "Tea <b>100</b> g. ",
        "<y ", "<y>", "<y a=", "<y></y>", "<z:", "㌀",
        "\x00", "＜b＞", "&amp;lt;",
    ],
)  # fmt: skip
@pytest.mark.timeout(20)  # a quadratic step would take minutes
def test_a_megabyte_of_anything_is_cleaned_and_bounded(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    clean = clean_text(text)
    assert len(clean) <= MAX_RAW_CHARACTERS
    assert clean_text(clean) == clean


def test_only_the_beginning_of_a_long_text_counts() -> None:
    text = "tea " * 100_000
    assert clean_text(text) == clean_text(text[:MAX_RAW_CHARACTERS])
    assert len(normalise_text(text, SETTINGS)) <= SETTINGS.max_text_characters


def test_fields_are_joined_in_the_order_of_the_settings_and_empty_ones_left_out() -> None:
    fields: dict[str, str | dict[str, str]] = {
        "attributes": {"size": "100 g", "colour": "green", "empty": " "},
        "description": "<br>",
        "title": "<b>Tea</b>",
        "brand": "Acme",
        "price": "5",
    }
    assert embedded(fields) == "Tea | Acme | colour: green, size: 100 g"
    short = PreprocessingSettings(text_fields=("brand", "title"), text_separator=" / ")
    assert embedded(fields, short) == "Acme / Tea"
    assert embedded({}) == ""


def test_attributes_come_in_one_order_whatever_theirs_was() -> None:
    first = join_fields({"attributes": {"b": "2", "a": "1"}}, SETTINGS)
    assert first == join_fields({"attributes": {"a": "1", "b": "2"}}, SETTINGS)
    assert normalise_text(first, SETTINGS) == "a: 1, b: 2"


def test_a_broken_field_swallows_nothing_of_the_others() -> None:
    fields: dict[str, str | dict[str, str]] = {
        "title": "<b>Tea</b> &amp; more <!-- x",
        "brand": "Acme <One",
        "category": "<!-- none -->",
        "description": "<p title='a | b'>Long</p> <script>x</script> text <b",
        "attributes": {"size": "100&nbsp;g", "note": "<br>", "&nbsp;": "x"},
    }
    parts = "Tea & more <!-- x", "Acme <One", "Long text <b", "size: 100 g"
    assert embedded(fields) == " | ".join(parts)


@pytest.mark.parametrize("separator", "\x1c\x1d\x1e\x1f")
def test_separators_of_the_caller_are_blanks(separator: str) -> None:
    fields: dict[str, str | dict[str, str]] = {
        "title": f"washing{separator}gel{separator}",
        "brand": f"{separator}x",
        "attributes": {f"{separator}a": f"b{separator}c", "d": separator},
    }
    assert embedded(fields) == "washing gel | x | a: b c"


def test_a_prefix_stands_before_what_holds_anything() -> None:
    settings = PreprocessingSettings(query_prefix="query: ")
    assert embedded({"title": "<br>", "brand": "Acme"}, settings, "query: ") == "query: Acme"
    assert embedded({"title": "<br>"}, settings, "query: ") == ""
    # Only a prefix of the settings is one.
    assert normalise_text("<b>no</b>\x1cTea", settings) == "no Tea"


def test_normalising_twice_changes_nothing() -> None:
    generator = random.Random(44)
    settings = PreprocessingSettings(max_text_characters=20)
    for _ in range(1000):
        text = "".join(generator.choices(PIECES, k=12)).replace("\x1f", "")  # of one field
        once = normalise_text(text, settings)
        assert len(once) <= 20
        assert clean_text(once) == once


@pytest.mark.slow
def test_cleaning_never_loses_a_letter_or_a_digit() -> None:
    generator = random.Random(44)
    planes = [
        (0x20, 0x24F), (0x370, 0x52F), (0x590, 0x6FF), (0x2000, 0x2BFF), (0x3000, 0x9FFF),
        (0xAC00, 0xD7A3), (0xF900, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F000, 0x1FAFF),
    ]  # fmt: skip
    for _ in range(3000):
        letters = [chr(generator.randint(*generator.choice(planes))) for _ in range(30)]
        text = "".join(letter for letter in letters if letter not in NOT_KEPT)
        assert _letters_and_digits(clean_text(text)) == _letters_and_digits(text), ascii(text)


def _letters_and_digits(text: str) -> list[str]:
    return [c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c)[0] in "LN"]
