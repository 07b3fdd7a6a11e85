"""Which column holds which field, judged by what stands in it where its name does not tell."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from twinshelf.client.files.first_rows import first_cells, require_upright
from twinshelf.client.files.forms.table import Table
from twinshelf.client.files.names.column_names import (
    is_called_product,
    is_own_number,
    is_product_number,
    is_supplier,
    is_trade_number,
    is_usual_name,
    may_be_identifier,
    names_by_word,
    names_something_else,
)
from twinshelf.client.files.names.columns import (
    TELLING,
    Columns,
    has_title,
    map_columns,
    usual_identifiers,
)
from twinshelf.client.files.names.photo_names import is_other_photo
from twinshelf.client.files.names.plain_name import (
    LINE_OF_PRODUCT,
    plain_name,
    plain_names,
)
from twinshelf.client.files.names.price_names import is_net, is_sale
from twinshelf.client.files.rows import ProductFileError
from twinshelf.client.files.values.cell_values import present_text_of
from twinshelf.client.files.values.column_fitness import (
    FITNESS,
    LOOKS,
    WORDS_OF_TITLE,
    are_amounts,
    are_attributes,
    are_kinds,
    begins_with,
    can_hold_attributes,
    counts_rows,
    holds_objects,
    is_code,
    is_name,
    is_photo,
    is_price,
    is_title,
    mean_length,
    photo_fitness,
    present,
    share_of,
    texts_in,
    title_fitness,
)
from twinshelf.client.files.values.photos import ends_like_photo

# An identifier that fewer rows than these have alone is one of several products.
_RARELY_SHARED = 0.9
_LONGEST_SHORT_TEXT = 80
_DETAILS = plain_names(
    "details product_details item_details item_specifics aspects features product_features"
)
_FEW_ROWS = 5


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
            beside what looks like titles under another name, the columns are products and not the
            rows, or the table breaks off.
    """
    return _ColumnMap(table, given, needed).columns()


class _ColumnMap:
    """Maps one table, of which the first rows are read once."""

    def __init__(
        self, table: Table, given: Mapping[str, Sequence[str]], needed: Sequence[str]
    ) -> None:
        self._table = table
        self._needed = needed
        self._cells = first_cells(table)
        if not given:
            require_upright(table, self._cells)
        self._given = {**self._title_called_product(), **given}

    def columns(self) -> Columns:
        """Returns field to columns."""
        columns = usual = self._fitting(frozenset())
        unlike: frozenset[str] = frozenset()
        while more := self._unlike(columns) - unlike:
            unlike |= more
            columns = self._without(usual, unlike)
        columns = self._with_whole_price(self._with_both_prices(columns))
        if self._needed == TELLING:
            columns = self._with_photos(self._without_common_group(columns))
            columns = self._with_details(self._without_unread_attributes(columns))
            columns = self._with_supplier(columns)
            if "title" not in {*columns, *self._given} or self._is_all_empty(columns):
                self._require_no_titles(columns)
        if "product_id" in self._given:
            return columns
        if "product_id" in columns:
            name = self._choose_identifier(columns)
            rest = {field: names for field, names in columns.items() if name not in names}
            return {"product_id": (name,), **_leave_out(rest, "product_id")}
        return self._with_number(columns, unlike) if self._needed == TELLING else columns

    def _title_called_product(self) -> dict[str, Sequence[str]]:
        """The title where none is called so, and "Article" holds no numbers but titles."""
        header = self._table.columns
        if has_title(header) or any(names_by_word(name, "title") for name in header):
            return {}
        for name in filter(is_called_product, header):
            is_number = is_usual_name(name, "product_id")
            if is_number and title_fitness(self._cells[name]) >= WORDS_OF_TITLE:
                return {"title": (name,)}
        return {}

    def _fitting(self, barred: frozenset[str]) -> Columns:
        """Maps by name; a column with an unusual name must look like its field."""
        table = self._table
        barred |= table.vector_columns
        while True:
            columns = map_columns(
                str(table.path), table.columns, self._given, self._needed, barred, table.kind
            )
            unfit = {
                name
                for field, names in columns.items()
                for name in names
                if field in LOOKS and field not in self._given and self._is_unfit(name, field)
            }
            if unfit <= barred:
                break
            barred |= unfit
        is_wanted = self._needed == TELLING and "description" not in self._given
        if is_wanted and "title" not in {*columns, *self._given}:
            return self._with_title(columns)
        return columns

    def _is_unfit(self, name: str, field: str) -> bool:
        cells = present(self._cells[name])
        if field == "category" and cells and are_kinds(cells):
            return True
        if field == "title" and share_of(cells, lambda cell: ends_like_photo(str(cell))):
            return True
        if field == "title" and is_called_product(name):
            if self._are_codes(name) or any(map(holds_objects, cells)):
                return True
        is_usual = is_usual_name(name, field)
        return bool(cells) and not is_usual and not share_of(cells, LOOKS[field])

    def _are_codes(self, name: str) -> bool:
        """Whether a column holds codes, beside another of titles, descriptions or photos."""
        texts = texts_in(self._cells[name])
        if len({*texts}) < len(texts) or not texts or not all(map(is_code, texts)):
            return False
        others = (values for other, values in self._cells.items() if other != name)
        return any(
            title_fitness(values) >= WORDS_OF_TITLE
            or FITNESS["description"](values)
            or photo_fitness(values)
            for values in others
        )

    def _unlike(self, columns: Columns) -> set[str]:
        """Columns that hold nothing, or nothing like their field; photos may come further down."""
        return {
            names[0]
            for field, names in columns.items()
            if field in LOOKS and field != "images" and field not in self._given
            if self._is_unlike(names[0], field)
        }

    def _is_unlike(self, name: str, field: str) -> bool:
        cells = present(self._cells[name])
        if field == "price" and any(map(is_price, cells)):  # others may be on request
            return False
        return not share_of(cells, is_title if field == "title" else LOOKS[field])

    def _with_both_prices(self, columns: Columns) -> Columns:
        """Puts the price of a sale, which not every product has, before the usual one."""
        names = columns.get("price", ())
        if len(names) != 1 or "price" in self._given:
            return columns
        if not is_sale(names[0]):
            free = self._free(columns)
            sales = [n for n in free if is_sale(n) and is_net(n) <= is_net(*names)]
            sales = [n for n in sales if not self._is_unlike(n, "price")]
            return {**columns, "price": (*sales[:1], *names)}
        try:
            others = self._fitting(frozenset(names)).get("price", ())
        except ProductFileError:
            return columns
        free = self._free(columns)
        return {**columns, "price": (*names, *(name for name in others if name in free))}

    def _with_whole_price(self, columns: Columns) -> Columns:
        """Adds what a price stands in, "offers" of "offers.price", where others are told there."""
        names = columns.get("price", ())
        if not names or "price" in self._given:
            return columns
        outer = names[-1].partition(".")[0]
        if outer in names or outer not in self._table.columns:
            return columns
        pairs = zip(self._cells[names[-1]], self._cells[outer], strict=True)
        is_told = any(is_price(whole) for amount, whole in pairs if not present_text_of(amount))
        return {**columns, "price": (*names, outer)} if is_told else columns

    def _without(self, columns: Columns, unlike: frozenset[str]) -> Columns:
        """Maps again without some columns, which stay where no other has their field."""
        try:
            others = self._fitting(unlike)
        except ProductFileError:
            return columns
        kept = {f: names for f, names in columns.items() if unlike & {*names} and f not in others}
        return others | kept

    def _with_title(self, columns: Columns) -> Columns:
        """Takes descriptions for titles, where they are as short: of wholesalers, "Description"."""
        (name,) = columns.get("description", ("",))
        values = self._cells[name] if name else []
        if name and any(begins_with(values, self._cells[other]) for other in self._free(columns)):
            return columns
        texts = texts_in(values)
        if not title_fitness(values) or mean_length(texts) > _LONGEST_SHORT_TEXT:
            return columns
        if any(text.startswith("<") for text in texts):  # a part of a page
            return columns
        columns = {**_leave_out(columns, "description"), "title": (name,)}
        free = [n for n in self._free(columns) if any(map(present_text_of, self._cells[n]))]
        longer = [n for n in free if names_by_word(n, "description")]  # "Omschrijving lang"
        return columns | ({"description": (longer[0],)} if longer else {})

    def _without_common_group(self, columns: Columns) -> Columns:
        """A group of most of the products is no group of duplicates, but their category."""
        (name,) = columns.get("group", ("",))
        if name in ("", LINE_OF_PRODUCT) or "group" in self._given:
            return columns
        texts = texts_in(self._cells[name])
        if len(texts) < _FEW_ROWS or max(map(texts.count, {*texts})) * 2 <= len(texts):
            return columns
        rest = _leave_out(columns, "group")
        is_category = "category" not in {*rest, *self._given} and share_of([*texts], is_name)
        return {**rest, "category": (name,)} if is_category else rest

    def _with_photos(self, columns: Columns) -> Columns:
        """Takes the first column of photos, whatever its name, where none is called so."""
        if "images" in {*columns, *self._given}:
            return columns
        for name in self._free(columns):
            there = [value for value in self._cells[name] if value not in (None, "")]
            is_photos = share_of(there, lambda value: is_photo(value, ends_like_photo))
            if is_photos and not is_other_photo(name):
                return {**columns, "images": (name,)}
        return columns

    def _without_unread_attributes(self, columns: Columns) -> Columns:
        """Leaves out attributes none of which can be read, such as sentences called features."""
        (name,) = columns.get("attributes", ("",))
        cells = present(self._cells[name]) if name and "attributes" not in self._given else []
        return _leave_out(columns, "attributes") if not can_hold_attributes(cells) else columns

    def _with_supplier(self, columns: Columns) -> Columns:
        """Takes several suppliers for brands where nothing else is: Shopware means the maker."""
        (name,) = columns.get("seller", ("",))
        if not is_supplier(name) or not {"brand", "seller"}.isdisjoint({*self._given}):
            return columns
        if "brand" in columns or len({*texts_in(self._cells[name])}) < 2:
            return columns
        return {**_leave_out(columns, "seller"), "brand": (name,)}

    def _with_details(self, columns: Columns) -> Columns:
        """Takes objects or pairs called details for attributes, where nothing is called so."""
        for name in self._free(columns) if "attributes" not in {*columns, *self._given} else ():
            if plain_name(name) in _DETAILS:
                if share_of(present(self._cells[name]), are_attributes):
                    return {**columns, "attributes": (name,)}
        return columns

    def _is_all_empty(self, columns: Columns) -> bool:
        """Whether no row has any title, description or photo, and none was given."""
        names = [name for field in TELLING for name in columns.get(field, ())]
        return self._given.keys().isdisjoint(TELLING) and not any(
            value not in (None, "") for name in names for value in self._cells[name]
        )

    def _require_no_titles(self, columns: Columns) -> None:
        """Photos and descriptions are whole products only where nothing looks like titles."""
        free = (name for name in self._free(columns) if not names_something_else(name))
        scores = {name: title_fitness(self._cells[name]) for name in free}
        best = max(scores, key=lambda name: scores[name], default="")
        if best and scores[best] >= WORDS_OF_TITLE:
            raise ProductFileError(
                f"{self._table.path} names no title, but {best!r} looks like one. Name it: "
                f"--columns title={best}, or leave titles out: --columns title="
            )

    def _choose_identifier(self, columns: Columns) -> str:
        """The first identifier, or a later one that is there and alone where that one is not.

        Rows without a title go on with the product before them, and must share its identifier.
        """
        (chosen,) = columns["product_id"]
        named = columns.get("title", ())  # one without any title tells no row from another
        titles = [name for name in named if any(map(present_text_of, self._cells[name]))]
        is_titled = [
            all(present_text_of(self._cells[name][row]) for name in titles)
            for row in range(len(self._cells[chosen]))
        ]

        def texts_of(name: str) -> list[str]:
            """Its cells in rows that begin a product."""
            pairs = zip(self._cells[name], is_titled, strict=True)
            return [present_text_of(value) for value, is_first in pairs if is_first]

        if is_trade_number(chosen) and self._needed == TELLING:
            own = [n for n in self._free(columns) if is_own_number(n) and all(texts_of(n))]
            chosen = next((n for n in own if len(set(texts_of(n))) == len(texts_of(n))), chosen)
        texts = texts_of(chosen)
        if not all(is_titled) and not self._goes_on(chosen, is_titled):
            shared = (n for n in self._identifiers(columns) if self._goes_on(n, is_titled))
            chosen = next(shared, chosen)
            texts = texts_of(chosen)
        is_whole = all(texts) or self._needed != TELLING  # which one is changed must be plain
        if is_whole and len(set(texts)) > _RARELY_SHARED * len(texts):
            return chosen
        others = [name for name in self._identifiers(columns) if name != chosen]
        alone = (name for name in others if all(texts_of(name)))
        return next((n for n in alone if len(set(texts_of(n))) == len(texts)), chosen)

    def _identifiers(self, columns: Columns) -> list[str]:
        """Columns that may name products, by their names, the better first."""
        taken = {name for names in _leave_out(columns, "product_id").values() for name in names}
        groups = columns.get("group", ()) if "group" not in self._given else ()
        numbers = filter(is_product_number, self._table.columns)
        others = filter(may_be_identifier, self._table.columns)
        every = dict.fromkeys([*usual_identifiers(self._table.columns), *numbers, *others, *groups])
        return [name for name in every if name not in taken or name in groups]

    def _goes_on(self, name: str, is_titled: Sequence[bool]) -> bool:
        """Whether each row without a title has what the row before it has, and others have not."""
        texts = [*map(present_text_of, self._cells[name])]
        first = [text for text, is_first in zip(texts, is_titled, strict=True) if is_first]
        pairs = zip(itertools.pairwise(texts), is_titled[1:], strict=True)
        go_on = all(text == before for (before, text), is_first in pairs if not is_first)
        return all(texts) and len(set(first)) == len(first) and go_on

    def _with_number(self, columns: Columns, unlike: AbstractSet[str]) -> Columns:
        """Takes what numbers products by its name, or another identifier, that no rows share."""
        free = self._free(columns)
        numbers = [n for n in free if is_product_number(n) or is_called_product(n)]
        others = [n for n in free if may_be_identifier(n) or is_trade_number(n) or n in unlike]
        others += [n for n in free if plain_name(n) == "no" and not counts_rows(self._cells[n])]
        others = [n for n in others if n not in numbers]
        groups = columns.get("group", ()) if "group" not in self._given else ()
        titles = self._cells[columns["title"][0]] if columns.get("title") else []
        is_titled = [*map(present_text_of, titles)]  # else it may be a heading between products
        for name in [*numbers, *others, *groups]:
            values = [*itertools.compress(self._cells[name], is_titled)] or self._cells[name]
            texts = texts_in(values)
            is_sure = name not in others and not is_called_product(name)
            is_fit = is_sure or all(map(is_code, texts))
            is_first = name == self._table.columns[0]
            if is_called_product(name) and not is_first and are_amounts(values):  # "Inventory"
                continue
            if is_fit and len(set(texts)) == len(texts) > len(values) / 2:
                rest = {field: names for field, names in columns.items() if name not in names}
                return {"product_id": (name,), **rest}
        return columns

    def _free(self, columns: Columns) -> list[str]:
        taken = {name for names in columns.values() for name in names}
        return [name for name in self._table.columns if name not in taken]


def _leave_out(columns: Columns, field: str) -> Columns:
    return {each: names for each, names in columns.items() if each != field}
