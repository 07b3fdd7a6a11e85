"""Rows of product tables: texts, price, attributes and photos, whatever kind of table they are of.

Only a row with nothing to embed, one that cannot be read at all, and the second of two with one
identifier are bad; where rows change stored products, one without an identifier instead of the
first, or one without a value that is changed. What else cannot be read is left empty and counted.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from twinshelf.client.files.column_guess import map_table
from twinshelf.client.files.findings import Findings, Kind
from twinshelf.client.files.first_rows import first_cells
from twinshelf.client.files.forms.header import columns_beside
from twinshelf.client.files.forms.table import Table, open_table
from twinshelf.client.files.forms.text_encoding import mended
from twinshelf.client.files.names.column_names import is_trade_number
from twinshelf.client.files.names.columns import TELLING, Columns, usual_identifiers
from twinshelf.client.files.names.price_names import price_divisor
from twinshelf.client.files.photo_fetch import PhotoFetcher, fetch_photos
from twinshelf.client.files.product_row import Photo, ProductRow
from twinshelf.client.files.row_filter import RowFilter, goes_on, is_part
from twinshelf.client.files.rows import FOUND_FORM, BadRow, CellRow, ProductFileError, TableForm
from twinshelf.client.files.seen_identifiers import SeenIdentifiers
from twinshelf.client.files.values.cell_values import (
    attributes_of,
    nested_within,
    present_text_of,
    text_of,
    without_markup,
)
from twinshelf.client.files.values.photos import PhotoError, PhotoFiles, PhotoReference, photos_of
from twinshelf.client.files.values.prices import DecimalSign, decimal_sign_of, price_of

EMBEDDED_TEXTS = ("title", "description", "category", "brand")
# No shop shows more of one product; a list of millions would be looked up on the disk.
_MOST_PHOTOS = 100
_ROWS_LOOKED_AT = 1000
# An apostrophe before digits tells Excel that they are a text.
_MARKED_TEXT = re.compile(r"^'(?=\d[^']*$)")
# How Excel writes a number of many digits, of which it keeps the first.
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How tables are read.

    Attributes:
        columns: Field to the table's columns, where they have other names than usual; no columns
            leave a field out.
        form: What is known of a text table's form.
        image_root: Folder below which photos may lie, besides the folder of each table.
        fetcher: Fetches photos of the web; None leaves them where they are.
        updated_fields: Fields of stored products that the rows change; each row needs an identifier
            then, but nothing to embed. None: each row is a whole product.
        photo_count: Photos of a row that are wanted, where it has so many.
    """

    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    form: TableForm = FOUND_FORM
    image_root: Path | None = None
    fetcher: PhotoFetcher | None = field(default=None, repr=False)
    updated_fields: tuple[str, ...] = ()
    photo_count: int = 1

    @property
    def needed_fields(self) -> Sequence[str]:
        """Fields one of which a table must have."""
        # Which product is changed must be plain.
        return ("product_id",) if self.updated_fields else TELLING


USUAL_OPTIONS = ReadOptions()
# A table that `make data` wrote names the photos of a data set where they lie.
PREPARED_OPTIONS = ReadOptions(image_root=Path("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedTable:
    """A table, which of its columns holds which field, and what tells its row numbers apart.

    Attributes:
        table: The table.
        columns: Field to its columns.
        may_repeat: Whether the identifiers are those of a column that may have another meaning.
        photo_files: Where its photos lie.
        prefix: What stands before its row numbers.
    """

    table: Table
    columns: Columns
    may_repeat: bool
    photo_files: PhotoFiles
    prefix: str

    def look_ahead(self) -> tuple[DecimalSign, str]:
        """Finds in the first rows the decimal sign of prices, and what stands before row numbers.

        A row without identifier is called by its number: beside identifiers that are numbers that
        would be another product's.

        Raises:
            ProductFileError: If the table breaks off.
        """
        prices, identifiers = (self.columns.get(name, ()) for name in ("price", "product_id"))
        names = [*prices, *identifiers]
        rows = islice(self.table.rows(names), _ROWS_LOOKED_AT) if names else ()
        cells = [row.cells for row in rows if isinstance(row, CellRow)]
        has_numbers = any(text_of(row[name]).isdecimal() for row in cells for name in identifiers)
        sign = decimal_sign_of(" ".join(prices), (row[name] for row in cells for name in prices))
        return sign, self.prefix or f"{self.table.path.stem}-" * has_numbers


class ProductFiles:
    """One or several tables of products, read as one."""

    def __init__(self, paths: Sequence[Path], options: ReadOptions = USUAL_OPTIONS) -> None:
        """Opens the tables and maps their columns.

        Args:
            paths: Files of any kind that `open_table` reads, or folders of photos.
            options: How to read them.

        Raises:
            MissingFileError: If one is not there.
            ProductFileError: If one cannot be read, lacks a column that was asked for, or has
                nothing to embed.
        """
        if not paths:
            raise ProductFileError("give one file or more")
        self.findings = Findings()
        self._fetcher = options.fetcher
        self._updated_fields = options.updated_fields
        self.photo_count = options.photo_count
        self.tables = tuple(map(partial(_mapped, options), map(Path, paths), _prefixes(paths)))
        self.name = ", ".join(mapped.table.path.name for mapped in self.tables)

    def count_rows(self) -> int:
        """Counts the rows of all tables; reads those that do not tell once through.

        Raises:
            ProductFileError: If one breaks off.
        """
        return sum(mapped.table.count_rows() for mapped in self.tables)

    def apart(self) -> tuple[ProductFiles, ...]:
        """Returns each table by itself, its rows as here; two may then hold one identifier."""
        alone = tuple(copy.copy(self) for _ in self.tables)
        for files, mapped in zip(alone, self.tables, strict=True):
            files.tables, files.name, files.findings = (mapped,), mapped.table.path.name, Findings()
        return alone

    def rows(self) -> Iterator[ProductRow | BadRow]:
        """Yields the rows in order; a row without text joins its photos to the same product's.

        Raises:
            ProductFileError: If a table breaks off.
        """
        self.findings.clear()
        seen = SeenIdentifiers()
        try:
            for mapped in self.tables:
                if doubt := mapped.table.encoding_doubt:
                    self.findings.add("encoding", doubt)
                self._add_unread(mapped.table)
                decimal, prefix = mapped.look_ahead()
                for row in self._with_photos(self._joined(mapped, decimal, prefix)):
                    if isinstance(row, BadRow):
                        yield row
                    else:
                        number = f"{prefix}{row.row_number}" if mapped.may_repeat else ""
                        yield self._checked(row, seen, number)
        finally:
            seen.close()

    def _add_unread(self, table: Table) -> None:
        right = columns_beside(table.columns)
        if right and any(map(text_of, first_cells(table)[right[0]])):
            self.findings.add("right", ", ".join(right))
        unread: dict[Kind, tuple[str, ...]] = {
            "sheet": table.other_sheets,
            "table": table.other_tables,
            "unread": table.unread_photos,
            "beside": table.tables_beside,
            "picture": table.pictures,
            "formula": table.formula_columns,
        }
        for kind, names in unread.items():
            for name in names:
                self.findings.add(kind, name)

    def _checked(self, row: ProductRow, seen: SeenIdentifiers, number: str) -> ProductRow | BadRow:
        """Returns the row; or why it is bad: nothing to embed, or an earlier row's identifier.

        The number, where there is one, takes the place of an earlier row's identifier.
        """
        bad = partial(BadRow, source=row.source, row_number=row.row_number)
        if self._updated_fields and not row.fields_with_value(self._updated_fields):
            return bad(reason=f"nothing to update: no {', '.join(self._updated_fields)}")
        if not (row.has_text or row.main_photo or self._updated_fields):
            is_url = self._fetcher is None and any(photo.is_url for photo in row.photos)
            reason = "nothing to embed: no text, and "
            if is_url:
                return bad(reason=reason + "the photo is a URL, which --fetch-images fetches")
            return bad(reason=reason + "no photo that can be read")
        place = f"row {row.row_number}"
        if len(self.tables) > 1:
            place += f" of {row.source}"
        if not (row.has_title or self._updated_fields):
            self.findings.add("untitled", f"row {row.row_number}")
        earlier = seen.add(row.product_id, place)
        if earlier and number:
            self.findings.add("repeated", f"{row.product_id!r} of {earlier}")
            row = replace(row, product_id=number)
            earlier = seen.add(row.product_id, place)
        if earlier:
            return bad(reason=f"product_id {row.product_id!r} stands in {earlier} too")
        return row

    def _with_photos(self, rows: Iterator[ProductRow | BadRow]) -> Iterator[ProductRow | BadRow]:
        if self._fetcher is None:
            return rows
        return fetch_photos(rows, self._fetcher, self.photo_count, self.findings)

    def _joined(
        self, mapped: MappedTable, decimal: DecimalSign, prefix: str
    ) -> Iterator[ProductRow | BadRow]:
        """Joins rows that only add photos or variants to the product before them."""
        waiting: ProductRow | None = None
        names = list(dict.fromkeys(name for names in mapped.columns.values() for name in names))
        rows = RowFilter(mapped.columns, decimal, self.findings)
        for cells in rows.products(mapped.table.rows(names)):
            if isinstance(cells, CellRow) and waiting is not None and not self._updated_fields:
                if goes_on(cells, mapped.columns) and waiting.has_title:
                    self.findings.add("continued", f"row {cells.row_number}")
                    images = [cells.cells[name] for name in mapped.columns.get("images", ())]
                    more = tuple(self._photos(images, mapped.photo_files))
                    waiting = replace(waiting, photos=waiting.photos + more)
                    continue
            row = cells if isinstance(cells, BadRow) else self._read(cells, mapped, decimal, prefix)
            if isinstance(row, ProductRow):
                rows.price_sum += row.price or 0.0
            if waiting is not None and isinstance(row, ProductRow):
                if is_part(row, waiting, mapped.columns):
                    self.findings.add("continued", f"row {row.row_number}")
                    price = row.price if waiting.price is None else waiting.price
                    waiting = replace(waiting, photos=waiting.photos + row.photos, price=price)
                    continue
            if waiting is not None:
                yield waiting
            waiting = row if isinstance(row, ProductRow) else None
            if isinstance(row, BadRow):
                yield row
        if waiting is not None:
            yield waiting

    def _read(
        self, row: CellRow, mapped: MappedTable, decimal: DecimalSign, prefix: str
    ) -> ProductRow | BadRow:
        values = {
            name: row.cells[columns[0]] for name, columns in mapped.columns.items() if columns
        }
        product_id = _identifier_in(values.get("product_id"))
        is_rounded = _ROUNDED.fullmatch(product_id) is not None
        if is_rounded:
            self.findings.add("rounded", repr(product_id))
            product_id = ""
        if not product_id and self._updated_fields:
            reason = "a row that changes a product needs its product_id"
            return BadRow(source=row.source, row_number=row.row_number, reason=reason)
        if not product_id:
            product_id = prefix + str(row.row_number)
            if "product_id" in values and not is_rounded:
                self.findings.add("identifier", repr(product_id))
        for name in EMBEDDED_TEXTS:
            if isinstance(cell := values.get(name), str) and cell.strip()[:1] in ("#", "E"):
                if not present_text_of(cell):
                    self.findings.add("error", repr(cell.strip()))
        for name in ("title", "category", "brand"):
            cell = values.get(name)
            if isinstance(cell, str):  # '["Shoes >> Boots"]'
                cell = nested_within(cell) or cell
            values[name] = without_markup(present_text_of(cell))
        cells = [row.cells[name] for name in mapped.columns.get("images", ())]
        return self._fitting(
            ProductRow(
                source=row.source,
                row_number=row.row_number,
                product_id=product_id,
                **{name: mended(present_text_of(values.get(name))) for name in EMBEDDED_TEXTS},
                seller=present_text_of(values.get("seller")),
                group=present_text_of(values.get("group")),
                price=self._price(row, decimal, mapped),
                attributes=self._attributes(values.get("attributes")),
                photos=tuple(self._photos(cells, mapped.photo_files)),
            )
        )

    def _fitting(self, row: ProductRow) -> ProductRow:
        if (fitting := row.without_excess()) is not row:
            self.findings.add("long", row.product_id)
        return fitting

    def _price(self, row: CellRow, decimal: DecimalSign, mapped: MappedTable) -> float | None:
        """The price of a sale comes first; where there is none, the usual one."""
        filled = [n for n in mapped.columns.get("price", ()) if text_of(row.cells[n])]
        if not filled:
            return None
        asked = [n for n in filled if present_text_of(row.cells[n])] or filled
        # Where there is no sale, some programs write 0.
        column = next((n for n in asked if not _is_zero(row.cells[n])), asked[0])
        cell = row.cells[column]
        try:
            price = price_of(cell, decimal)
        except ValueError:
            self.findings.add("price", repr(text_of(cell)[:40]))
            return None
        # A price with decimals is in whole units, whatever its column is called.
        return price / price_divisor(column) if price and price.is_integer() else price

    def _attributes(self, cell: object) -> Mapping[str, str]:
        try:
            attributes, nested_count = attributes_of(cell)
        except ValueError:
            self.findings.add("attributes", repr(text_of(cell)[:40]))
            return {}
        if nested_count:
            self.findings.add("attribute", repr(text_of(cell)[:40]), nested_count)
        return attributes

    def _photos(self, cells: Sequence[object], files: PhotoFiles) -> Iterator[Photo]:
        references = []
        for cell in cells:
            try:
                references += photos_of(cell)
            except PhotoError as error:
                self.findings.add("photo", str(error))
        # Magento names one photo as the base image, the small one and the thumbnail.
        references = list(dict.fromkeys(references))
        for reference in references[:_MOST_PHOTOS]:
            yield self._photo(reference, files)
        if left_count := len(references[_MOST_PHOTOS:]):
            reason = f"of one row only {_MOST_PHOTOS} are looked at"
            self.findings.add("photo", reason, left_count)

    def _photo(self, reference: PhotoReference, files: PhotoFiles) -> Photo:
        if reference.data:
            return Photo(name=reference.name, data=reference.data)
        if reference.is_url:
            if self._fetcher is None:
                self.findings.add("photo_url", reference.name)
            return Photo(name=reference.name, is_url=True)
        try:
            return Photo(name=reference.name, path=files.find(reference.name))
        except PhotoError as error:
            self.findings.add("photo", str(error))
            return Photo(name=reference.name)


def _prefixes(paths: Sequence[Path]) -> list[str]:
    """What stands before the row numbers of several files: names, numbered when two are equal."""
    stems = [f"{Path(path).stem}-" for path in paths]
    if len(set(stems)) < len(stems):
        stems = [f"{number}-{stem}" for number, stem in enumerate(stems, start=1)]
    return stems if len(stems) > 1 else [""]


def _identifier_in(cell: object) -> str:
    """The identifier that a cell holds, without Excel's apostrophe and the ".0" of pandas."""
    text = _MARKED_TEXT.sub("", present_text_of(cell))
    return text[:-2] if text.endswith(".0") and text[:-2].isdecimal() else text


def _mapped(options: ReadOptions, path: Path, prefix: str) -> MappedTable:
    table = open_table(path, options.form)
    folder = path if path.is_dir() else path.parent
    columns = map_table(table, options.columns, options.needed_fields)
    identifiers = columns.get("product_id", ())
    is_first = usual_identifiers(table.columns)[:1] == [*identifiers]
    is_doubtful = not is_first or any(map(is_trade_number, identifiers))
    is_given = "product_id" in options.columns
    return MappedTable(
        table=table,
        columns=columns,
        may_repeat=is_doubtful and not (is_given or options.updated_fields),
        photo_files=PhotoFiles([options.image_root or folder, folder]),
        prefix=prefix,
    )


def _is_zero(cell: object) -> bool:
    return not text_of(cell).strip("0.,")
