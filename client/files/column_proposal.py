"""What a check of a file proposes: columns whose names tell nothing, and a header that is none."""

from __future__ import annotations

import re

from twinshelf.client.files.column_guess import map_table
from twinshelf.client.files.first_rows import first_cells
from twinshelf.client.files.forms.table import Table
from twinshelf.client.files.forms.text_rows import form_of
from twinshelf.client.files.names.column_names import (
    is_identifier_name,
    is_own_number,
    is_product_number,
    is_quantity,
    names_by_word,
    names_something_else,
)
from twinshelf.client.files.names.columns import FIELDS, Columns
from twinshelf.client.files.names.price_names import distance_from_paid
from twinshelf.client.files.values.cell_values import text_of
from twinshelf.client.files.values.column_fitness import (
    FITNESS,
    Values,
    are_amounts,
    begins_with,
    share_of,
    texts_in,
)
from twinshelf.client.files.values.photos import looks_like_photo


def guess_columns(table: Table) -> Columns:
    """Guesses which columns hold identifier, title, description, price and photos.

    What their names tell stays.

    Args:
        table: The table; its first rows are read.

    Raises:
        ProductFileError: If the table breaks off.
    """
    named = map_table(table, {}, needed=())
    every = first_cells(table)
    if (title := named.get("title")) and not any(texts_in(every[name]) for name in title):
        named = {field: names for field, names in named.items() if field != "title"}
    taken = {name for names in named.values() for name in names} | {*(title or ())}
    cells = {name: values for name, values in every.items() if name not in taken}
    guessed: Columns = {}
    for field, fitness in FITNESS.items():
        if field in named:
            continue
        scores = {
            name: fitness(values)
            for name, values in cells.items()
            if field not in ("title", "price") or not names_something_else(name)
            if field not in ("product_id", "price") or not is_quantity(name)
            if field != "product_id" or _may_be_number(table, name, values)
            if field != "price" or not (is_product_number(name) or is_identifier_name(name))
        }
        best = max(scores, key=lambda name: scores[name], default="")
        if field == "product_id":  # a number by its name may have blanks: "1K0 615 301"
            numbers = (name for name in scores if is_own_number(name))
            best = next((name for name in numbers if _are_unlike(cells[name])), best)
            scores |= {best: 1.0} if best and is_own_number(best) else {}
        if field == "price":  # no cost, where another is a price as well
            fit = [name for name in scores if scores[name] > 0]
            best = min(fit, key=lambda name: (distance_from_paid(name), -scores[name]), default="")
        if field == "title" and best:  # a description may begin with the title
            shorter = (name for name in scores if begins_with(cells[best], cells[name]))
            best = next(shorter, best)
        if best and scores[best] > 0:
            guessed[field] = (best,)
            cells = {n: v for n, v in cells.items() if best not in (n, n.partition(".")[0])}
    return named | guessed


def _are_unlike(values: Values) -> bool:
    """Whether each row has a text of its own."""
    texts = texts_in(values)
    return len({*texts}) == len(texts) == len(values)


def _may_be_number(table: Table, name: str, values: Values) -> bool:
    """Whether numbers may be those of products: in the first column, or under a number as name."""
    return name == table.columns[0] or name.isdecimal() or not are_amounts(values)


def header_is_data(table: Table) -> bool:
    """Whether the first row holds values rather than names.

    It does when one is a URL or a photo, reads like a title, or has digits and the form of the
    values below it.
    """
    cells = first_cells(table)
    stems = {re.sub(r"\d+$", "", name) for name in cells}
    if len(cells) > 1 and len(stems) == 1:  # a program's own names: Column1, Column2
        return False
    named = {name for name in cells for field in FIELDS if names_by_word(name, field)}
    return any(
        looks_like_photo(name) or (name not in named and _is_value(name, cells[name]))
        for name in cells
    )


def _is_value(name: str, values: Values) -> bool:
    has_digit = any(letter.isdigit() for letter in name)
    word_count = len(name.split())
    if word_count > 5 or word_count > 2 and has_digit:
        return True
    return has_digit and share_of(values, lambda cell: form_of(text_of(cell)) == form_of(name)) > 0
