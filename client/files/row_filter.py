"""Rows that are no products of their own: headings, totals, notes, hints, further photos."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from twinshelf.client.files.findings import Findings
from twinshelf.client.files.forms.row_label import NOTE, TOTAL, TOTAL_WORD, is_subtotal
from twinshelf.client.files.forms.text_rows import form_of
from twinshelf.client.files.names.columns import Columns
from twinshelf.client.files.names.plain_name import LINE_OF_PRODUCT
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.rows import BadRow, CellRow, Label
from twinshelf.client.files.values.cell_values import present_text_of
from twinshelf.client.files.values.photos import looks_like_photo
from twinshelf.client.files.values.prices import DecimalSign, price_of

# No foot is longer; rows are held back in case that they are one.
_MOST_FOOT_ROWS = 20
# What templates of marketplaces write under their header.
_HINTS = frozenset(
    (
        "required", "optional", "mandatory", "recommended", "preferred", "conditionally required",
        "conditionally mandatory", "pflicht", "pflichtfeld", "обязательно", "необязательно",
        "obligatorio", "opcional", "obligatoire", "facultatif", "obbligatorio", "facoltativo",
        "必填", "选填", "必須", "任意", "필수", "비필수", "선택", "wajib", "opsional",
        "조건부 필수", "verplicht",
        "optioneel", "wymagane", "opcjonalne", "zorunlu", "isteğe bağlı", "obrigatório",
        "bắt buộc", "không bắt buộc", "จำเป็น", "ไม่จำเป็น", "обов'язково", "необов'язково",
    )
)  # fmt: skip
_MOST_HINT_ROWS = 5
# The kinds of the columns, as DuckDB shows them under their names.
_KIND = re.compile(
    r"(?:u?int(?:eger|\d+)?|bigint|varchar|text|string|double|float\d*|decimal|numeric|number"
    r"|bool(?:ean)?|date|time(?:stamp)?|blob)(?:\[\]|\([\d, ]+\))?"
)
# "item_name[language_tag=en_US]#1.value"
_TECHNICAL = re.compile(r"\w*(?:\[[^\]]*\])*#\d+\.[\w.#]+|::\w+")
# Prices that cannot be read, and rounding, make a total a little more than the sum of the others.
_OF_SUM = 0.99
_LONGEST_SHOWN = 40
_NAMING = ("title", "description", "images")
_TOTAL_WITHIN = re.compile(rf"(?<!\w)(?:{TOTAL_WORD})(?!\w)", re.IGNORECASE)


def _is_hint(row: CellRow) -> bool:
    texts = [text for cell in row.cells.values() if (text := present_text_of(cell).casefold())]
    is_technical = 2 * sum(map(_is_technical, texts)) >= len(texts)
    is_of_words = _HINTS.issuperset(texts) or all(map(_KIND.fullmatch, texts))
    return len(texts) > 1 and (is_technical or is_of_words)


def _is_technical(text: str) -> bool:
    """Whether a text is the name that Amazon's programs know a column by."""
    return _TECHNICAL.fullmatch(text) is not None


def _is_header(row: CellRow) -> bool:
    """Whether a row repeats the names of the columns, as each page of a report does."""
    named_count = 0
    for name, cell in row.cells.items():
        text = present_text_of(cell)
        if text and text.casefold() != name.casefold():
            return False
        named_count += bool(text)
    return named_count > 1


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _is_word(text: str) -> bool:
    return bool(text) and not _has_digit(text)


def _is_prose(text: str) -> bool:
    return len(text.split()) > 2


def goes_on(row: CellRow, columns: Columns) -> bool:
    """Whether a row has neither identifier nor name nor price, as Magento's further photos.

    Its titles in other languages lack the identifier alone.
    """

    def is_empty(field: str) -> bool:
        """Whether the row has no text in any column of a field."""
        return not any(present_text_of(row.cells[name]) for name in columns.get(field, ()))

    if "product_id" not in columns or not is_empty("product_id"):
        return False
    is_of_magento = columns.get("seller") == ("_store",)
    named = ["price"] if is_of_magento else ["title", "description", "brand", "price"]
    return all(map(is_empty, named)) and not all(map(is_empty, columns))


def is_part(row: ProductRow, product: ProductRow, columns: Columns) -> bool:
    """Whether a row only adds photos or a variant to the product before it."""
    if not product.has_text:
        return False
    (group_name,) = columns.get("group", ("",))
    # A group that is called otherwise may be of offers that are to be learnt from.
    names_product = row.group == product.product_id and "parent" in group_name.casefold()
    is_line = names_product and group_name == LINE_OF_PRODUCT
    return is_line or (not row.has_text and (names_product or row.product_id == product.product_id))


class RowFilter:
    """Leaves the rows of one table out that are no products, and counts them.

    A product may be titled "Total": a titled row is left out only where it lacks the identifier
    that all before it have, or where no product stands behind it and it has no less a price than
    all before it together.

    Attributes:
        price_sum: Prices of the products so far; who reads the rows adds each before the next.
    """

    def __init__(self, columns: Columns, decimal: DecimalSign, findings: Findings) -> None:
        """Starts at the first row.

        Args:
            columns: Which columns hold which field.
            decimal: The decimal sign of their prices.
            findings: Count what is left out.
        """
        self.price_sum = 0.0
        self._columns = columns
        self._decimal = decimal
        self._findings = findings
        self._identifier = next(iter(columns.get("product_id", ())), "")
        self._have_identifiers = bool(self._identifier)
        self._have_words = False
        self._row_count = 0
        self._has_total = self._has_headings = False

    def products(self, rows: Iterable[CellRow | BadRow]) -> Iterator[CellRow | BadRow]:
        """Yields the rows that may be products; those of a foot wait until one comes behind."""
        waiting: list[CellRow] = []
        for row in self._without_advice(rows):
            if isinstance(row, CellRow) and (
                _is_header(row)
                or self._is_heading(row)
                or (self._row_count < _MOST_HINT_ROWS and _is_hint(row))
            ):
                self._leave_out(row)
                continue
            if isinstance(row, CellRow) and row.label is not None:
                if self._is_total(row, row.label):
                    self._has_total = True
                    self._leave_out(row)
                    continue
                if self._may_be_foot(row, row.label):
                    waiting.append(row)
                    if len(waiting) > _MOST_FOOT_ROWS:
                        yield waiting.pop(0)
                    continue
            yield from self._without_headings(waiting, row)
            waiting.clear()
            self._row_count += 1
            if isinstance(row, CellRow):
                identifier = present_text_of(row.cells.get(self._identifier))
                self._have_identifiers &= bool(identifier)
                self._have_words |= _is_word(identifier)
            yield row
        if self._row_count == 0:  # nothing but titles, of products then
            yield from waiting
            return
        for row in waiting:
            self._leave_out(row)

    def _is_heading(self, row: CellRow) -> bool:
        """Whether a word is all, in the place of identifiers with digits or where no field is."""
        is_alone = row.label is not None and row.label.is_alone and self._lacks_name(row)
        if is_alone and all(self._is_empty(row, field) for field in self._columns):
            return True
        text = present_text_of(row.cells.get(self._identifier))
        return is_alone and not self._have_words and len(text) > 2 and _is_word(text)

    def _without_advice(self, rows: Iterable[CellRow | BadRow]) -> Iterator[CellRow | BadRow]:
        """Leaves out the first rows where they say in words what is to be filled in.

        One of them has a word in the place of a price or a photo; the first product has both
        identifier and price.
        """
        rest, head = iter(rows), list[CellRow]()
        for row in rest if self._identifier and self._names("price") else ():
            if (
                isinstance(row, CellRow)
                and self._may_be_advice(row)
                and len(head) < _MOST_HINT_ROWS
            ):
                head.append(row)
                continue
            is_whole = (
                isinstance(row, CellRow)
                and self._text(row, "product_id") != ""
                and _has_digit(self._text(row, "price"))
            )
            is_headed = is_whole and any(map(self._has_word_for_value, head))
            if is_headed and isinstance(row, CellRow) and not self._have_its_form(head, row):
                for each in head:
                    self._has_headings |= self._is_title_alone(each)
                    self._leave_out(each)
            else:
                yield from head
            head = []
            yield row
            break
        yield from head
        yield from rest

    def _has_word_for_value(self, row: CellRow) -> bool:
        photo = self._text(row, "images")
        return bool(self._text(row, "price") or photo and not looks_like_photo(photo))

    def _have_its_form(self, head: Iterable[CellRow], product: CellRow) -> bool:
        """Whether one of the first rows has an identifier such as a product's: "AB 100 X"."""
        form = form_of(self._text(product, "product_id"))
        return "9" in form and any(form_of(self._text(r, "product_id")) == form for r in head)

    def _may_be_advice(self, row: CellRow) -> bool:
        """Whether a row has no price, and words or nothing in the place of its identifier."""
        price, identifier = (self._text(row, field) for field in ("price", "product_id"))
        is_words = " " in identifier or identifier.casefold() in _HINTS or not identifier
        # With digits it is "Up to 20 signs", and that of a price only beside such a one.
        is_told = not _has_digit(price) or _is_prose(price) and _is_prose(identifier)
        is_prose = _is_prose(identifier) or not _has_digit(identifier)
        has_hint = any(present_text_of(cell).casefold() in _HINTS for cell in row.cells.values())
        return is_words and (is_told and is_prose or has_hint)

    def _text(self, row: CellRow, field: str) -> str:
        texts = (present_text_of(row.cells[name]) for name in self._names(field))
        return next(filter(None, texts), "")

    def _is_total(self, row: CellRow, label: Label) -> bool:
        """Whether a row is a total wherever it stands, such as that of a category."""
        if self._lacks_identifier(row) and is_subtotal(label):
            return True
        if "title" in self._columns and self._lacks_name(row):
            return _TOTAL_WITHIN.search(label.text) is not None
        return self._lacks_identifier(row) and TOTAL.fullmatch(label.text) is not None

    def _may_be_foot(self, row: CellRow, label: Label) -> bool:
        """Whether a row is no product if none comes behind it."""
        if TOTAL.fullmatch(label.text):
            return self._row_count > 0 and not self._is_cheap(row)
        if self._has_total and self._lacks_identifier(row):  # the tax in it, or how many they are
            return True
        if not label.is_alone:
            return False
        if self._is_title_alone(row):  # a heading, if products stand below it
            return True
        if NOTE.fullmatch(label.text) or (_is_prose(label.text) and self._lacks_name(row)):
            return True
        return self._lacks_identifier(row) and len(self._columns) > 2

    def _without_headings(
        self, rows: Iterable[CellRow], product: CellRow | BadRow
    ) -> Iterator[CellRow]:
        """Leaves out what heads a product, in a list that begins with a heading."""
        is_whole = isinstance(product, CellRow) and all(
            self._text(product, field) for field in ("product_id", "price") if self._names(field)
        )
        for row in rows:
            self._has_headings |= self._row_count == 0
            if is_whole and self._has_headings and self._is_title_alone(row):
                self._leave_out(row)
            else:
                yield row

    def _is_title_alone(self, row: CellRow) -> bool:
        is_one = row.label is not None and row.label.is_alone
        fields = ("product_id", "price")
        return is_one and all(self._names(f) and self._is_empty(row, f) for f in fields)

    def _lacks_identifier(self, row: CellRow) -> bool:
        have = self._have_identifiers and self._row_count > 0
        return have and self._is_empty(row, "product_id")

    def _lacks_name(self, row: CellRow) -> bool:
        return all(self._is_empty(row, field) for field in _NAMING)

    def _is_cheap(self, row: CellRow) -> bool:
        try:
            prices = [price_of(row.cells[name], self._decimal) for name in self._names("price")]
        except ValueError:
            return False
        return any(price is not None and price < _OF_SUM * self.price_sum for price in prices)

    def _is_empty(self, row: CellRow, field: str) -> bool:
        return not any(present_text_of(row.cells[name]) for name in self._names(field))

    def _names(self, field: str) -> Sequence[str]:
        return self._columns.get(field, ())

    def _leave_out(self, row: CellRow) -> None:
        shown = filter(None, map(present_text_of, row.cells.values()))
        text = row.label.text if row.label else next(shown, "")[:_LONGEST_SHOWN]
        self._findings.add("total", f"row {row.row_number}, {text!r}")
