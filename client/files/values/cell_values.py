"""Values of cells: texts, attributes and lists, whatever the kind of table.

Functions that can fail raise ValueError with what was expected; who calls them decides whether
that costs the row (it costs only what the cell would have held).
"""

from __future__ import annotations

import ast
import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, time
from typing import Any

# How programs write "nothing" into a cell; compared in small letters.
_ABSENT = frozenset(
    (
        "", "null", "none", "nan", "n/a", "#n/a", "<na>", "\\n", "undefined", "nil",
        "-", "--", "–", "—", "n.a.", "(null)", "[null]", "<null>",
    )
)  # fmt: skip
# What table programs write for an error, in the languages that they speak.
_ERROR = re.compile(
    r"Err:\d{3}|#[¡¿]?(?:"
    # No value here, of another cell or of the web.
    r"N/[ADBV]!?|NV|I/T|Н/Д|YOK|SAKNAS!?|PUUTTUU!?|HIÁNYZIK|NENÍ[ _]K[ _]DISPOZICI|NEDOSTUPNÝ"
    r"|GETTING_DATA|(?:BUSY|BLOCKED|CONNECT|EXTERNAL|UNKNOWN|FIELD|MACRO|ERROR|ERREUR)[!?]?"
    # No such cell.
    r"|(?:REF|BEZUG|ADR|RIF|VERW|REFERENS|VIITTAUS|ODKAZ|BAŞV|HIV|ССЫЛКА|ПОСИЛАННЯ)!"
    # Of another kind.
    r"|(?:VALUE|WERT|VALEUR|VALORE?|ARG|WAARDE|VÄRDEFEL|VÆRDI|VERDI|ARVO|HODNOTA|DEĞER|ÉRTÉK|ЗНАЧ)!"
    # No such name.
    r"|(?:NAME|NOM|NOMBRE|NOME|NAZWA|NAAM|NAMN|NAVN|NIMI|NÁZEV|NÁZOV|AD|NÉV|NUME|ИМЯ|ІМ'Я)\?"
    # Numbers that are none.
    r"|(?:[A-ZÄÖÅÉА-Я]+/0|DĚLENÍ_NULOU|ZÉRÓOSZTÓ|NUM|NÚM|NOMBRE|ZAHL|LICZBA|GETAL|OGILTIGT|LUKU|ČÍSLO"
    r"|SAYI|SZÁM|ЧИСЛО)!"
    # Ranges.
    r"|(?:NULL|NUL|NULO|NULLO|ZERO|LEEG|TYHJÄ|BOŞ|NULLA|ПУСТО|SPILL|CALC|ÜBERLAUF|PROPAGATION"
    r"|DESBORDAMIENTO|ESPANSIONE|ПЕРЕНОС|ВЫЧИСЛ)!"
    r")"
)
# What a nested value may call its text, the better first.
_TEXT_KEYS = (
    "name",
    "title",
    "displayvalue",
    "label",
    "value",
    "text",
    "data",
    "amount",
    "login",
    "nickname",
    "наименование",
)
# What an object says of itself: no text of the product.
_ABOUT_KEYS = frozenset(
    ("id", "_id", "$id", "$ref", "$oid", "type", "typeid", "@type", "href", "slug")
)
# What a pair calls its two parts.
_NAME_KEYS = (
    "name", "key", "param_name", "attribute_name", "attribute_code", "attribute-id", "fname",
)  # fmt: skip
_VALUE_KEYS = (
    "value", "values", "value_name", "options", "val", "param_value", "attribute_value", "fvalue",
)  # fmt: skip
# Of a text in several languages one is read: the first that is there.
_LANGUAGE = re.compile(r"[a-z]{2}(?:[-_][A-Za-z]{2})?")
_LANGUAGE_KEYS = ("language_tag", "language", "lang", "locale", "@language")
# How a list or an object begins that a text spells.
_NESTED = ("[", "{", "array(")
# Python's own stack bears a few hundred.
MOST_NESTED = 32
# Python's reader of its own notation takes some hundred bytes for each literal.
_MOST_LITERALS = 100_000
# Half a character, which JSON can spell and no encoding can hold.
_SURROGATE = re.compile("[\ud800-\udfff]")
# Nothing is seen of these; text programs leave them at the ends.
_UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});")
_ELEMENT = re.compile(r"<[^<>]*>")
_TAG = re.compile(
    r"</?(?:b|big|em|font|i|mark|small|span|strong|sub|sup|u)(?:\s[^<>]*)?>", re.IGNORECASE
)
# In data of the web a text names its language: "Red tea"@en.
_IN_LANGUAGE = re.compile(r'(?<!\S)"((?:(?!"@).)*)"@[a-z]{2}(?:-[A-Za-z]{2,4})?(?!\S)', re.DOTALL)
# Texts in Python's notation, and what it does not read: ['a' 'b'] of numpy, which are two texts,
# array(['a'], dtype=object), Decimal('3.5'), nan.
# One that is not closed ends with the cell: no other place of it is tried.
_QUOTED = r"'[^'\\]*(?:\\.[^'\\]*)*(?:'|\\?\Z)|\"[^\"\\]*(?:\\.[^\"\\]*)*(?:\"|\\?\Z)"
_NO_LITERAL = re.compile(
    rf"({_QUOTED})(\s+(?=['\"]))?|\b[^\W\d][\w.]*(?=\()|,\s*dtype=[^()]*(?=\))|\bnan\b", re.DOTALL
)
# What parts plain pairs: a line end or a comma only where another pair is behind it, written alike.
_PAIR_NAME = r"[^\s:=;|{}\[\]][^:=;|\n{}\[\]]{0,79}"
_NAME_BEHIND_COMMA = r"[^\W\d_][^:=;|,\n{}\[\]]{0,39}:"
_PAIR_END = (
    rf"[;|]|\n(?=[^\S\n]*+{_PAIR_NAME}[:=])"
    rf"|,(?=\s+{_NAME_BEHIND_COMMA}\s|{_NAME_BEHIND_COMMA}[^\s/])"
)
_PLAIN_PAIR = re.compile(
    rf"\s*+({_PAIR_NAME})[:=]((?:(?!{_PAIR_END}).)+)(?:{_PAIR_END}|$)", re.DOTALL
)
# A value with its place, as PrestaShop writes them, and whether it is one's own: "Blue:1:0".
# "16:9" and "10:05" are values alone.
_PLACED = re.compile(r"((?=\S)(?!\d+:).+?):(?:0|[1-9]\d{0,2})(?::[01])?", re.DOTALL)


def text_of(cell: object) -> str:
    """Returns a cell as trimmed text: "" when absent, NaN or false; "7" for 7.0, bytes decoded."""
    if isinstance(cell, str):
        if cell.isascii():
            return cell.strip()
        return _SURROGATE.sub("\ufffd", cell).strip().strip(_UNSEEN).strip()
    if cell is None or cell is False:  # PHP's and Odoo's nothing
        return ""
    if isinstance(cell, float):
        if math.isnan(cell):
            return ""
        if cell.is_integer():  # identifiers that a table program turned into floats
            return str(int(cell))
    if isinstance(cell, (bytes, bytearray)):
        return _decoded(bytes(cell))
    if isinstance(cell, datetime) and cell.time() == time():  # a day alone, of a table program
        return cell.date().isoformat()
    return str(cell).strip()


def _decoded(data: bytes) -> str:
    """Bytes as text: UTF-8, or cp1252 where most is ASCII; others are an identifier, in hex."""
    filled = data.rstrip(b"\0")  # columns of a fixed width are filled up
    text = filled.decode("utf-8", errors="replace").strip()
    if "\ufffd" in text and len(text.encode("ascii", "ignore")) * 2 > len(filled):
        text = filled.decode("cp1252", errors="replace").strip()
    is_text = all(sign.isprintable() or sign.isspace() for sign in text) and "\ufffd" not in text
    return text if is_text else data.hex()


def present_text_of(cell: object, depth: int = MOST_NESTED) -> str:
    """Returns a cell as text, lists and objects joined; "" also for NULL, N/A and their like.

    Args:
        cell: The cell.
        depth: What is nested deeper is no text.
    """
    # Of a text it need not be asked whether it is a mapping, which takes as long as all else.
    if not isinstance(cell, str) and isinstance(cell, (Mapping, list, tuple)):
        return _nested_text_of(cell, depth) if depth else ""
    text = text_of(cell)
    if text[:1] == "b" and (data := bytes_of(text)):
        return _decoded(data)
    is_error = text[:1] in ("#", "E") and _ERROR.fullmatch(text) is not None
    # R's "NA" is in capitals: a sodium is none.
    return "" if is_error or text == "NA" or text.casefold() in _ABSENT else text


def _nested_text_of(cell: Mapping[Any, Any] | Sequence[Any], depth: int) -> str:
    if isinstance(cell, Mapping):
        known = {str(key).casefold(): value for key, value in cell.items() if value}
        keys = (*_TEXT_KEYS, *(key for key in known if key.endswith("name")))
        named = next((known[key] for key in keys if key in known), None)
        if named is None and len(cell) > 1 and all(map(_LANGUAGE.fullmatch, map(str, cell))):
            named = next(filter(None, cell.values()), "")
        if named is None:
            about = {*_ABOUT_KEYS, *_LANGUAGE_KEYS}
            told = {k: value for k, value in cell.items() if str(k).casefold() not in about}
            named = list((told or cell).values())
        return present_text_of(named, depth - 1)
    if len(cell) == 2 and type(cell[0]) is int and isinstance(cell[1], str):
        cell = cell[1:]  # Odoo's own, [3, "All / Mugs"]: a number and what it is called
    texts = (present_text_of(item, depth - 1) for item in _of_one_language(cell))
    return ", ".join(filter(None, texts))


def _of_one_language(items: Sequence[object]) -> Sequence[object]:
    """The items of the first one's language, where each says its own."""
    languages = [
        next((item[key] for key in _LANGUAGE_KEYS if key in item), None)
        if isinstance(item, Mapping)
        else None
        for item in items
    ]
    if None in languages:
        return items
    return [item for item, lang in zip(items, languages, strict=True) if lang == languages[0]]


def object_of(cell: object) -> dict[str, object]:
    """Returns a nested object: a mapping, JSON, or a Python literal; {} when the cell is empty.

    Raises:
        ValueError: If the cell holds anything else.
    """
    if isinstance(cell, Mapping):
        return {str(name): value for name, value in cell.items()}
    text = text_of(cell)
    if not text:
        return {}
    value = _parse(text)
    if not isinstance(value, dict):
        raise ValueError(f"must be a JSON object, got {text[:40]!r}")
    return {str(name): value for name, value in value.items()}


def attributes_of(cell: object) -> tuple[dict[str, str], int]:
    """Returns attributes as texts, and how many could not be read as one.

    They may come as an object, as a list of pairs or of objects with a name and a value, as JSON
    or a Python literal of these, or plain: "colour: red; size: M", in one text or a list of them.
    Lists of values are joined.

    Raises:
        ValueError: If the cell holds anything else.
    """
    if isinstance(cell, str):
        if not present_text_of(cell):
            return {}, 0
        parsed = _parse(cell)
        is_page = cell.lstrip().startswith("<")
        plain = _ELEMENT.sub("\n", without_markup(cell)) if is_page else cell
        cell = _plain_pairs(plain) if parsed is None or isinstance(parsed, str) else parsed
    elif cell is None or text_of(cell) == "":
        return {}, 0
    if isinstance(cell, list) and cell and all(isinstance(each, str) for each in cell):
        cell = _plain_pairs("\n".join(cell))
    attributes, nested_count = {}, 0
    for name, value in _pairs_of(cell):
        values = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(each, (Mapping, list, tuple)) for each in values):
            nested_count += 1
            continue
        text = ", ".join(filter(None, map(_value_text, values)))
        if text_of(name) and text:
            attributes[text_of(name)] = text
    return attributes, nested_count


def bytes_of(text: str) -> bytes:
    """Returns the bytes that a text spells in Python's way, "b'abc'", as pandas writes them."""
    if text[:2] in ("b'", 'b"') and text[-1] == text[1]:
        with suppress(ValueError, SyntaxError, MemoryError):
            value = ast.literal_eval(text)
            return value if isinstance(value, bytes) else b""
    return b""


def texts_of(value: object) -> list[str]:
    """Returns the non-empty texts of a list, or of a single value."""
    items: Iterable[object] = value if isinstance(value, (list, tuple)) else [value]
    return [text for text in map(text_of, items) if text]


def without_markup(text: str) -> str:
    """Returns a name without what a web page writes around it: "&amp;" is &, "<b>Tea</b>" Tea.

    Also without the language that data of the web names.
    """
    if "&" in text and ";" in text:
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if '"@' in text:
        text = _IN_LANGUAGE.sub(r"\1", text)
    return _TAG.sub("", text) if "<" in text else text


def nested_within(text: str) -> list[object] | dict[str, object] | None:
    """Returns the list or object that a text spells as JSON or in Python; None when it is plain."""
    value = _parse(text) if text.lstrip().startswith(_NESTED) else None
    return value if isinstance(value, (list, dict)) else None


def _value_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else text_of(value)


def _parse(text: str) -> object:
    """Reads JSON or Python's own notation, which some tables hold; None for neither."""
    # Ruby writes {"key"=>"value"}, PostgreSQL's hstore without the braces.
    inner = text.replace("=>", ":")
    for written in dict.fromkeys((text, inner, f"{{{inner}}}" if "=>" in text else inner)):
        try:
            return json.loads(written, strict=False)
        except (ValueError, RecursionError):
            pass
    if not text.lstrip().startswith(_NESTED) or text.count(",") > _MOST_LITERALS:
        return None
    try:
        return ast.literal_eval(_NO_LITERAL.sub(_as_literal, text.strip()))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _as_literal(found: re.Match[str]) -> str:
    if found[1]:
        return found[1] + "," * bool(found[2])
    return "None" if found[0] == "nan" else ""


def _plain_pairs(text: str) -> list[tuple[str, str]] | None:
    """Reads "colour: red; size: M"; None when any part of the text is no such pair."""
    parts = re.split(r",(?=[^,=]+=)", text)
    # "color=Black,size=M|L", "activity=Gym|Yoga"
    is_short = len(parts) > 1 or text.count("=") == 1
    if is_short and "=" in parts[0] and not re.search(r"[;\n]", text):
        return [(name.strip(), value) for name, _, value in (part.partition("=") for part in parts)]
    pairs = []
    position = 0
    while position < len(text):
        pair = _PLAIN_PAIR.match(text, position)
        if pair is None:
            return None
        pairs.append((pair[1], pair[2]))
        position = pair.end()
    return _without_places(pairs)


def _without_places(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs without the places in a list, where each has one: "Colour:Blue:1,Size:M:2"."""
    placed = [(name, _PLACED.fullmatch(value)) for name, value in pairs]
    values = [(name, found[1]) for name, found in placed if found]
    return values if len(values) == len(pairs) else pairs


def _pairs_of(cell: object) -> Iterable[tuple[object, object]]:
    # XML's only parameter.
    if isinstance(cell, Mapping) and len(cell) == 2 and pair_of(cell) is not None:
        cell = [cell]
    if isinstance(cell, Mapping):
        return [pair for name, value in cell.items() for pair in _pairs_within(name, value)]
    if isinstance(cell, list):
        pairs = [pair_of(item) for item in cell]
        if all(pair is not None for pair in pairs):
            return [pair for pair in pairs if pair is not None]
    raise ValueError('attributes must be a JSON object such as {"volume": "500 ml"}')


def _pairs_within(name: object, value: object) -> list[tuple[object, object]]:
    """The pairs of a list of them, {"specification": [{"key": …, "value": …}]}; else the value."""
    items = value if isinstance(value, list) else [value] if isinstance(value, Mapping) else []
    pairs = [pair for pair in map(pair_of, items) if pair is not None]
    return pairs if pairs and len(pairs) == len(items) else [(name, value)]


def pair_of(item: object) -> tuple[object, object] | None:
    """A pair: Parquet's map has tuples, shops list objects with a name (or key) and a value."""
    if isinstance(item, tuple) and len(item) == 2:
        return item
    if isinstance(item, Mapping):
        known = {str(key).casefold(): value for key, value in item.items()}
        name = next((known[key] for key in _NAME_KEYS if known.get(key)), None)
        key = next((key for key in _VALUE_KEYS if key in known), None)
        return None if name is None or key is None else (name, known[key])
    return None
