"""Which column holds which field, judged by what stands in it where its name does not tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from twinshelf.client.files.cell_values import present_text_of, text_of
from twinshelf.client.files.column_names import (
    is_of_other,
    is_other_photo,
    is_product_number,
    is_usual_name,
    may_be_identifier,
)
from twinshelf.client.files.columns import TELLING, Columns, map_columns, usual_identifiers
from twinshelf.client.files.delimited_text import form_of
from twinshelf.client.files.photos import PhotoError, ends_like_photo, looks_like_photo, photos_of
from twinshelf.client.files.prices import price_of
from twinshelf.client.files.rows import CellRow, ProductFileError
from twinshelf.client.files.table import Table

_SAMPLE_ROWS = 200
_MOSTLY = 0.6
# An identifier that fewer rows than these have alone is one of several products.
_RARELY_SHARED = 0.9
_LONGEST_IDENTIFIER = 64
_LONGEST_TITLE = 200
_LONGEST_SHORT_TEXT = 80
# Fewer words in the mean are labels of classes as well.
_WORDS_OF_TITLE = 2
_FEW_ROWS = 5
_CURRENCY = re.compile(
    r"[$€£¥₽₹₩₺]|zł|\b(?:USD|EUR|GBP|RUB|PLN|IDR|INR|CHF)\b|^[0-9]+[.,][0-9]{1,2}$"
)
# What the records of shops and of JSON:API call themselves.
_KINDS = frozenset(
    "simple variable variation configurable grouped bundle bundled external virtual downloadable"
    " giftcard product products item items entry".split()
)
Values = list[object]


def map_table(
    table: Table, given: Mapping[str, Sequence[str]], needed: Sequence[str] = TELLING
) -> Columns:
    """Maps the columns of a table by name, as `map_columns` does.

    What a name does not say, the first rows do: what has an unusual name must look like its field;
    what has a usual one, and is empty or does not, gives way to another that does. Descriptions
    that are alone and short are titles, a column of photos is one whatever its name, and of several
    identifiers that is taken which products do not share. Without a usual name for the identifier,
    the first column is taken whose name says that it numbers products, and in which no two of the
    first rows share a value; else another identifier or a group of which that is true.

    Args:
        table: The table.
        given: Field to columns, as the user wants it; no columns leave the field out.
        needed: Fields one of which must be there.

    Raises:
        ProductFileError: If a given column is not there, nothing that is embedded is, photos stand
            beside what looks like titles under another name, or the table breaks off.
    """
    columns = usual = _map_fitting(table, given, needed, set())
    unlike: set[str] = set()
    while more := _unlike(table, columns, given) - unlike:
        unlike |= more
        columns = _without(table, usual, given, needed, unlike)
    if needed == TELLING:
        columns = _with_photos(table, _without_lot(table, columns, given), given)
    if needed == TELLING and not {"title", "description"} & {*columns, *given}:
        _require_no_titles(table, columns)
    if "product_id" in given or needed != TELLING and "product_id" not in columns:
        return columns
    if "product_id" in columns:
        return {**columns, "product_id": (_choose_identifier(table, columns),)}
    free = _free(table, columns)
    numbers = [each for each in free if is_product_number(each)]
    others = [each for each in free if may_be_identifier(each) or each in unlike]
    numbers += [*others, *(columns.get("group", ()) if "group" not in given else ())]
    for name, values in _samples(table, numbers).items() if numbers else ():
        texts = _texts(values)
        is_fit = name not in others or all(map(_is_identifier, texts))
        if is_fit and len(set(texts)) == len(texts) > len(values) / 2:
            rest = {field: names for field, names in columns.items() if name not in names}
            return {"product_id": (name,), **rest}
    return columns


def _map_fitting(
    table: Table,
    given: Mapping[str, Sequence[str]],
    needed: Sequence[str],
    barred: AbstractSet[str],
) -> Columns:
    """Maps by name; a column with an unusual name must look like its field."""
    while True:
        columns = map_columns(str(table.path), table.columns, given, needed, barred)
        unfit = {
            name
            for field, is_such in _LOOKED_AT.items()
            for name in columns.get(field, ())
            if field not in given and (field == "category" or not is_usual_name(name, field))
            if (cells := _present(_samples(table, [name])[name]))
            if not (_share(cells, is_such) or is_usual_name(name, field)) or _are_kinds(cells)
        }
        if not unfit - barred:
            break
        barred |= unfit
    if needed == TELLING and "title" not in {*columns, *given} and "description" not in given:
        return _with_title(table, columns)
    return columns


def _unlike(table: Table, columns: Columns, given: Mapping[str, Sequence[str]]) -> set[str]:
    """The columns that hold nothing, or nothing like their field; photos may come further down."""
    told = {
        names[0]: _is_title if field == "title" else _LOOKED_AT[field]
        for field, names in columns.items()
        if field in _LOOKED_AT and field != "images" and field not in given
    }
    samples = _samples(table, list(told)) if told else {}
    return {name for name, values in samples.items() if not _share(_present(values), told[name])}


def _without(
    table: Table,
    columns: Columns,
    given: Mapping[str, Sequence[str]],
    needed: Sequence[str],
    unlike: AbstractSet[str],
) -> Columns:
    """Maps again without some columns, which stay where no other has their field."""
    try:
        others = _map_fitting(table, given, needed, unlike)
    except ProductFileError:
        return columns
    kept = {f: names for f, names in columns.items() if unlike & {*names} and f not in others}
    return others | kept


def _without_lot(table: Table, columns: Columns, given: Mapping[str, Sequence[str]]) -> Columns:
    """A group of most of the products is no group of duplicates, but their category."""
    (name,) = columns.get("group", ("",))
    if not name or "group" in given:
        return columns
    texts = _texts(_samples(table, [name])[name])
    if len(texts) < _FEW_ROWS or max(map(texts.count, {*texts})) * 2 <= len(texts):
        return columns
    rest = {field: names for field, names in columns.items() if field != "group"}
    is_category = "category" not in {*rest, *given} and _share(texts, _is_name)
    return {**rest, "category": (name,)} if is_category else rest


def _with_photos(table: Table, columns: Columns, given: Mapping[str, Sequence[str]]) -> Columns:
    """Takes the first column of photos, whatever its name, where none is called so."""
    if "images" in {*columns, *given}:
        return columns
    free = [name for name in _free(table, columns) if not is_other_photo(name)]
    for name, values in _samples(table, free).items() if free else ():
        present = [value for value in values if value is not None and value != ""]
        if _share(present, lambda value: _is_photo(value, ends_like_photo)):
            return {**columns, "images": (name,)}
    return columns


def _require_no_titles(table: Table, columns: Columns) -> None:
    """Photos without a title are whole products only where nothing looks like titles."""
    free = _free(table, columns)
    samples = _samples(table, free) if free else {}
    scores = {n: _title_fitness(values) for n, values in samples.items() if not is_of_other(n)}
    best = max(scores, key=lambda name: scores[name], default="")
    if best and scores[best] >= _WORDS_OF_TITLE:
        raise ProductFileError(
            f"{table.path} names photos and no title, but {best!r} looks like one. Name it: "
            f"--columns title={best}, or leave titles out: --columns title="
        )


def _free(table: Table, columns: Columns) -> list[str]:
    taken = {name for names in columns.values() for name in names}
    return [name for name in table.columns if name not in taken]


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

    What their names tell stays.

    Args:
        table: The table; its first rows are read.

    Raises:
        ProductFileError: If the table breaks off.
    """
    named = map_table(table, {}, needed=())
    samples = _samples(table, _free(table, named))
    guessed: Columns = {}
    for field, fitness in _FITNESS.items():
        if field in named:
            continue
        scores = {
            name: fitness(values)
            for name, values in samples.items()
            if field not in ("title", "price") or not is_of_other(name)
            if field != "price" or not is_product_number(name)
        }
        best = max(scores, key=lambda name: scores[name], default="")
        if best and scores[best] > 0:
            guessed[field] = (best,)
            samples = {n: v for n, v in samples.items() if best not in (n, n.partition(".")[0])}
    return named | guessed


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


def _present(values: Values) -> Values:
    """What is there: nested prices as they are, all else as texts."""
    present = ((value, present_text_of(value)) for value in values)
    return [v if isinstance(v, (Mapping, list)) else text for v, text in present if text]


def _photo_fitness(values: Values) -> float:
    present = [value for value in values if value is not None and value != ""]
    return _share(present, _is_photo)


def _is_photo(value: object, is_such: Callable[[str], bool] = looks_like_photo) -> bool:
    try:
        photos = photos_of(value)
    except PhotoError:
        return False
    return bool(photos) and all(each.data or is_such(each.name) for each in photos)


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


def _is_price(cell: object) -> bool:
    try:
        price = price_of(cell)
    except ValueError:
        return False
    is_short = isinstance(cell, (Mapping, list)) or len(re.sub(r"[\d\s.,]", "", str(cell))) <= 4
    return price is not None and is_short


def _has_letters(cell: object) -> bool:
    return re.search(r"[^\W\d_]{2}", present_text_of(cell)) is not None


def _is_title(cell: object) -> bool:
    return _has_letters(cell) and not _is_identifier(present_text_of(cell))


def _are_kinds(cells: Values) -> bool:
    """Whether cells say what kind of record each is in its shop, as "simple" does."""
    return all(isinstance(cell, str) and cell.casefold() in _KINDS for cell in cells)


def _is_name(cell: object) -> bool:
    return _has_letters(cell) and not looks_like_photo(present_text_of(cell))


def _title_fitness(values: Values) -> float:
    """Different in most rows, of several words, not too long."""
    texts = _texts(values)
    if any(isinstance(value, list) and isinstance([*value, ""][0], Mapping) for value in values):
        return 0.0
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
