"""Texts as shops write them to texts as the tower reads them: cleaned, and joined from fields."""

from __future__ import annotations

import functools
import html
import html.entities
import re
import string
import unicodedata
from collections.abc import Mapping

from .markup import remove_markup
from .settings import PreprocessingSettings

# What fields are joined with: the separators that ASCII has for files, groups, records and units.
# Cleaning takes them for white space.
PREFIX_END, FIELD_END, ITEM_END, NAME_END = "\x1c\x1d\x1e\x1f"
# The caller's own ones would be taken for ours.
_NO_SEPARATORS = str.maketrans("\x1c\x1d\x1e\x1f", "    ")
# No field says more after this many characters; it also bounds the time a hostile text can cost.
MAX_RAW_CHARACTERS = 65_536
# Each pass undoes one level of escaping; real texts need two.
_MAX_PASSES = 8
# Signs that NFKC turns into combining marks.
_BECOME_MARKS = "\u0f73\u0f75\u0f81\uff9e\uff9f"
# As many combining marks on one letter as Unicode's stream-safe form allows.
_MAX_MARKS = 30
# A chain of "&amp;amp;" is undone at once. Only with the semicolon: "R&notebook" is a title.
_ENTITY = re.compile(r"&(?:amp;)*(#[0-9]{1,7};|#[xX][0-9a-fA-F]{1,6};|[A-Za-z][A-Za-z0-9]{1,31};)")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)

# Where signs stand among the characters; what else stands there is told by its category.
_SIGN = re.compile(
    "[\xa6\xa9\xae\u0482\u2100-\u214f\u2195-\u2bff\u3004-\u33ff\ufffc\ufffd\U00010000-\U0001fbff]"
)
# Marks of ownership that NFKC would turn into letters: a sign of the seller, none of the product.
_OWNERSHIP = "\u2120\u2122\u24b8\u24c7\U0001f12b\U0001f12c\U0001f16a\U0001f16b\U0001f16c"
# The degree belongs to what is measured: "20°C".
_KEPT_SIGNS = "\xb0"
# NFKC makes two digits around a slash of "½": beside another number it needs a blank, else "1½"
# would become "11/2". Its slash is not the one that people type.
_BESIDE_FRACTION = re.compile(
    "(?<=[\\d\xb2\xb3\xb9\u2070-\u2089\u2460-\u249b\xbc-\xbe\u2150-\u215e\u2189])"
    "(?=[\xbc-\xbe\u2150-\u215f\u2189])"
    "|(?<=[\xbc-\xbe\u2150-\u215e\u2189])(?=\\d)"
)
_FRACTION_SLASH = "\u2044"
# The sign of a diameter is part of a measure, and mostly typed as the letter.
_DIAMETER = ("\u2300", "\xd8")
# Between a number and the unit, the ordinal sign stands for the degree.
_ORDINAL_DEGREE = re.compile("(?<=\\d)( ?)\xba(?=[CF]\\b)")
# What NFKC would not make of them: of the brackets of East Asian texts markup, of accents that
# stand alone a blank and a mark, and of letters on black and of a keycap nothing at all.
_REPLACED: dict[int, str] = {
    **dict.fromkeys(map(ord, "\uff1c\uff1e\ufe64\ufe65"), " "),
    **dict.fromkeys(map(ord, "\xb4\u0384\u1fbd\u1ffd"), "'"),
    0x2DA: "\xb0",
    # Of Windows' letters and signs that were read as Latin-1, "10\x9612" is "10–12".
    **{n: bytes([n]).decode("cp1252", "ignore") for n in range(0x80, 0xA0) if n != 0x85},
    0x1F51F: "10",
    **{0x1F150 + n: letter for n, letter in enumerate(string.ascii_uppercase)},
    **{0x1F170 + n: letter for n, letter in enumerate(string.ascii_uppercase)},
}
# What colours and closes an emoji, and has no sense without it.
_EMOJI_PARTS = re.compile("[\u20e3\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")


def clean_text(text: str) -> str:
    """Removes markup and noise from a text.

    HTML tags, comments, scripts and styles go, entities are decoded, signs such as ® ™ © and emoji
    make room for a blank, the characters are brought to Unicode's NFKC form, control and zero-width
    characters and lone surrogates removed, and white space becomes single blanks. "1½" reads
    "1 1/2", the sign of a diameter is the letter "Ø", and "´" is an apostrophe; Windows' letters
    that were read as Latin-1 are what they were. No letter and no digit outside of markup is lost.
    Markup that was escaped, even repeatedly, is markup too. A tag is one of HTML, or one that has
    an attribute or is closed: "<M>" is a size. Cleaning a clean text changes nothing. What begins
    as markup and never ends stays as it is (of a script or style without its closing tag only the
    tag goes).

    Args:
        text: Any text; only the first 65,536 characters are read.

    Returns:
        The clean text; empty when nothing is left.
    """
    for _ in range(_MAX_PASSES):
        cleaned = _clean_once(text)
        if cleaned == text:
            return cleaned
        text = cleaned
    # Escaped deeper than any shop does: without these two there is nothing left to undo.
    text = re.sub("[<&]", " ", text)
    while (cleaned := _clean_once(text)) != text:
        text = cleaned
    return text


def join_fields(
    fields: Mapping[str, str | Mapping[str, str]],
    settings: PreprocessingSettings,
    *,
    prefix: str = "",
) -> str:
    """Joins the fields of a product as they are, into a text that `normalise_text` takes apart.

    They are cleaned one by one, so that a broken field cannot swallow those behind it.

    Args:
        fields: Field name to text; `attributes` may map names to values. Fields that the settings
            do not name are left out.
        settings: Which fields, in which order.
        prefix: One of those of the settings.

    Returns:
        The text; empty when all fields are blank.
    """
    parts = []
    for name in settings.text_fields:
        value = fields.get(name, "")
        if not isinstance(value, str):
            # Sorted, because a protobuf map, in which the server gets them, has no order.
            named = [
                (key.translate(_NO_SEPARATORS), text.translate(_NO_SEPARATORS))
                for key, text in sorted(value.items())
            ]
            value = ITEM_END.join(f"{key}{NAME_END}{text}" for key, text in named)
        else:
            value = value.translate(_NO_SEPARATORS)
        if value.strip():
            parts.append(value)
    return (prefix and prefix + PREFIX_END) + FIELD_END.join(parts) if parts else ""


def normalise_text(text: str, settings: PreprocessingSettings) -> str:
    """Makes a text ready for the tokenizer.

    Args:
        text: A text, or what `join_fields` made of fields.
        settings: What stands between fields, the prefixes, and the maximum length.

    Returns:
        The clean text, at most `settings.max_text_characters` long: the fields that hold anything
        behind the prefix, attributes as "name: value, name: value". Empty when none does.
    """
    prefix, has_prefix, joined = text.partition(PREFIX_END)
    if not has_prefix or prefix not in (settings.query_prefix, settings.passage_prefix):
        prefix, joined = "", text
    parts = map(_clean_field, joined[:MAX_RAW_CHARACTERS].split(FIELD_END))
    text = settings.text_separator.join(filter(None, parts))
    return (text and prefix + text)[: settings.max_text_characters].rstrip()


def _clean_field(text: str) -> str:
    items = []
    for item in text.split(ITEM_END):
        name_and_value = [clean_text(part) for part in item.split(NAME_END, 1)]
        if all(name_and_value):
            items.append(": ".join(name_and_value))
    return ", ".join(items)


def _clean_once(text: str) -> str:
    text = text[:MAX_RAW_CHARACTERS]
    if "<" in text:
        text = remove_markup(text).replace("]]>", " ")  # the end of CDATA
    if "&" in text:
        text = _ENTITY.sub(_undo_entity, text)
    text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = _EMOJI_PARTS.sub("", text.translate(_REPLACED).replace(*_DIAMETER))
        text = _BESIDE_FRACTION.sub(" ", _SIGN.sub(lambda match: _read_sign(match[0]), text))
        text = _with_few_marks(_ORDINAL_DEGREE.sub("\\1\xb0", text))
        text = unicodedata.normalize("NFKC", text).replace(_FRACTION_SLASH, "/")
    return " ".join(text[:MAX_RAW_CHARACTERS].split()).rstrip()


def _undo_entity(match: re.Match[str]) -> str:
    """What an entity stands for; none is found by its beginning, as browsers find "&cent"."""
    entity = match[1]
    is_known = entity[0] == "#" or entity in html.entities.html5
    return html.unescape("&" + entity) if is_known else "&" + entity


@functools.lru_cache(maxsize=4096)
def _read_sign(sign: str) -> str:
    """A blank for a sign; what stands for letters or digits, such as "№" or "①", stays."""
    if sign in _OWNERSHIP:
        return " "
    is_sign = unicodedata.category(sign) == "So" and sign not in _KEPT_SIGNS
    return " " if is_sign and unicodedata.normalize("NFKC", sign) == sign else sign


def _with_few_marks(text: str) -> str:
    """Cuts long runs of combining marks, which normalising sorts in quadratic time."""
    kept = []
    run_length = 0
    for character in text:
        is_mark = unicodedata.combining(character) or character in _BECOME_MARKS
        run_length = run_length + 1 if is_mark else 0
        if run_length <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)
