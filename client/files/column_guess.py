"""Which column holds which field, judged by what stands in it where its name does not tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from twinshelf.client.files.cell_values import present_text_of, text_of
from twinshelf.client.files.column_names import (
    is_of_other,
    is_product_number,
    is_usual_name,
    may_be_identifier,
)
from twinshelf.client.files.columns import TELLING, Columns, map_columns, usual_identifiers
from twinshelf.client.files.delimited_text import form_of
from twinshelf.client.files.photos import PhotoError, looks_like_photo, photos_of
from twinshelf.client.files.prices import price_of
from twinshelf.client.files.rows import CellRow
from twinshelf.client.files.table import Table

_SAMPLE_ROWS = 200
_MOSTLY = 0.6
# An identifier that fewer rows than these have alone is one of several products.
_RARELY_SHARED = 0.9
_LONGEST_IDENTIFIER = 64
_LONGEST_TITLE = 200
_LONGEST_SHORT_TEXT = 80
_CURRENCY = re.compile(
    r"[$€£¥₽₹₩₺]|zł|\b(?:USD|EUR|GBP|RUB|PLN|IDR|INR|CHF)\b|^[0-9]+[.,][0-9]{1,2}$"
)
Values = list[object]


def map_table(
    table: Table, given: Mapping[str, Sequence[str]], needed: Sequence[str] = TELLING
) -> Columns:
    """Maps the columns of a table by name, as `map_columns` does.

    What a name does not say, the first rows do: what has an unusual name must look like its field,
    descriptions that are alone and short are titles, and of several identifiers that is taken which
    products do not share. Without a usual name for the identifier, the first column is taken whose
    name says that it numbers products, and in which no two of the first rows share a value; else
    another identifier or a group of which that is true.

    Args:
        table: The table.
        given: Field to columns, as the user wants it; no columns leave the field out.
        needed: Fields one of which must be there.

    Raises:
        ProductFileError: If a given column is not there, nothing that is embedded is, or the table
            breaks off.
    """
    barred: set[str] = set()
    while True:
        columns = map_columns(str(table.path), table.columns, given, needed, barred)
        unfit = {
            name
            for field, is_such in _LOOKED_AT.items()
            for name in columns.get(field, ())
            if field not in given and not is_usual_name(name, field)
            if (texts := _texts(_samples(table, [name])[name])) and not _share(texts, is_such)
        }
        if not unfit:
            break
        barred |= unfit
    if needed == TELLING and "title" not in {*columns, *given} and "description" not in given:
        columns = _with_title(table, columns)
    if "product_id" in given or needed != TELLING and "product_id" not in columns:
        return columns
    if "product_id" in columns:
        return {**columns, "product_id": (_choose_identifier(table, columns),)}
    taken = {name for names in columns.values() for name in names}
    free = [each for each in table.columns if each not in taken]
    numbers = [each for each in free if is_product_number(each)]
    others = [each for each in free if may_be_identifier(each)]
    numbers += [*others, *(columns.get("group", ()) if "group" not in given else ())]
    for name, values in _samples(table, numbers).items() if numbers else ():
        texts = _texts(values)
        is_fit = name not in others or all(map(_is_identifier, texts))
        if is_fit and len(set(texts)) == len(texts) > len(values) / 2:
            rest = {field: names for field, names in columns.items() if name not in names}
            return {"product_id": (name,), **rest}
    return columns


def _with_title(table: Table, columns: Columns) -> Columns:
    """Takes descriptions for titles, where they are as short: of wholesalers, "Description"."""
    (name,) = columns.get("description", ("",))
    values = _samples(table, [name])[name] if name else []
    if not _title_fitness(values) or _mean_length(_texts(values)) > _LONGEST_SHORT_TEXT:
        return columns
    rest = {field: names for field, names in columns.items() if field != "description"}
    return {**rest, "title": (name,)}


def _choose_identifier(table: Table, columns: Columns) -> str:
    """The first identifier, or a later one that is alone in each row where that one is not.

    Rows without a title go on with the product before them, and must share its identifier.
    """
    (chosen,) = columns["product_id"]
    taken = {name for field, names in columns.items() if field != "product_id" for name in names}
    others = [each for each in usual_identifiers(table.columns) if each not in {chosen, *taken}]
    if not others:
        return chosen
    titles = columns.get("title", ())
    samples = _samples(table, [chosen, *others, *titles])
    is_titled = [
        all(present_text_of(samples[name][row]) for name in titles)
        for row in range(len(samples[chosen]))
    ]

    def texts_of(name: str) -> list[str]:
        """Its cells in rows that begin a product."""
        pairs = zip(samples[name], is_titled, strict=True)
        return [present_text_of(value) for value, is_first in pairs if is_first]

    texts = texts_of(chosen)
    if len(set(texts)) > _RARELY_SHARED * len(texts):
        return chosen
    alone = (name for name in others if all(texts_of(name)))
    return next((n for n in alone if len(set(texts_of(n))) == len(texts)), chosen)


def guess_columns(table: Table) -> Columns:
    """Guesses which columns hold identifier, title, description, price and photos.

    Args:
        table: The table; its first rows are read.

    Raises:
        ProductFileError: If the table breaks off.
    """
    samples = _samples(table, table.columns)
    guessed: Columns = {}
    for field, fitness in _FITNESS.items():
        scores = {
            name: fitness(values)
            for name, values in samples.items()
            if field not in ("title", "price") or not is_of_other(name)
            if field != "price" or not is_product_number(name)
        }
        best = max(scores, key=lambda name: scores[name], default="")
        if best and scores[best] > 0:
            guessed[field] = (best,)
            del samples[best]
    return guessed


def header_is_data(table: Table) -> bool:
    """Whether the first row holds values rather than names.

    It does when one is a URL or a photo, reads like a title, or has digits and the form of the
    values below it.
    """
    samples = _samples(table, table.columns)
    return any(looks_like_photo(name) or _is_value(name, samples[name]) for name in samples)


def _is_value(name: str, values: Values) -> bool:
    has_digit = any(letter.isdigit() for letter in name)
    word_count = len(name.split())
    if word_count > 5 or word_count > 2 and has_digit:
        return True
    return has_digit and _share(values, lambda value: form_of(text_of(value)) == form_of(name)) > 0


def _samples(table: Table, names: Sequence[str]) -> dict[str, Values]:
    rows = islice(table.rows(names), _SAMPLE_ROWS)
    cells = [row.cells for row in rows if isinstance(row, CellRow)]
    return {name: [row[name] for row in cells] for name in names}


def _texts(values: Values) -> list[str]:
    return [text for value in values if (text := present_text_of(value))]


def _photo_fitness(values: Values) -> float:
    present = [value for value in values if value is not None and value != ""]
    return _share(present, _is_photo)


def _is_photo(value: object) -> bool:
    try:
        photos = photos_of(value)
    except PhotoError:
        return False
    return bool(photos) and all(each.data or looks_like_photo(each.name) for each in photos)


def _identifier_fitness(values: Values) -> float:
    """Unique in each row, short, and one word; the first such column is the best."""
    texts = _texts(values)
    is_unique = len(texts) == len(values) and len(set(texts)) == len(texts)
    if not texts or not is_unique or any(not _is_identifier(text) for text in texts):
        return 0.0
    return 1.0


def _is_identifier(text: str) -> bool:
    if len(text) > _LONGEST_IDENTIFIER or any(letter.isspace() for letter in text):
        return False
    return _CURRENCY.search(text) is None and any(letter.isdigit() for letter in text)


def _price_fitness(values: Values) -> float:
    texts = _texts(values)
    if _share(texts, _is_price) == 0:
        return 0.0
    return 0.5 + _share(texts, lambda text: _CURRENCY.search(str(text)) is not None)


def _is_price(text: object) -> bool:
    try:
        return price_of(text) is not None and len(re.sub(r"[\d\s.,]", "", str(text))) <= 4
    except ValueError:
        return False


def _has_letters(text: object) -> bool:
    return re.search(r"[^\W\d_]{2}", str(text)) is not None


def _is_name(text: object) -> bool:
    return _has_letters(text) and not looks_like_photo(str(text))


def _title_fitness(values: Values) -> float:
    """Different in most rows, of several words, not too long."""
    texts = _texts(values)
    if not texts or 2 * len(set(texts)) < len(values) or _mean_length(texts) > _LONGEST_TITLE:
        return 0.0
    words = sum(len(re.findall(r"[^\W\d_]{2,}", text)) for text in texts) / len(texts)
    return words * len(set(texts)) / len(values) if words >= 1 else 0.0


def _description_fitness(values: Values) -> float:
    texts = _texts(values)
    return _mean_length(texts) if texts and _mean_length(texts) > _LONGEST_TITLE / 4 else 0.0


def _share(values: Sequence[object], is_such: Callable[[object], bool]) -> float:
    share = sum(map(is_such, values)) / len(values) if values else 0.0
    return share if share >= _MOSTLY else 0.0


def _mean_length(texts: list[str]) -> float:
    return sum(map(len, texts)) / len(texts)


_FITNESS: dict[str, Callable[[Values], float]] = {
    "images": _photo_fitness,
    "product_id": _identifier_fitness,
    "title": _title_fitness,
    "description": _description_fitness,
    "price": _price_fitness,
}
_LOOKED_AT: dict[str, Callable[[object], bool]] = {
    "title": _has_letters,
    "description": _has_letters,
    "category": _is_name,
    "brand": _is_name,
    "seller": _is_name,
    "price": _is_price,
    "images": _is_photo,
}
