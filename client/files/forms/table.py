"""A table of any kind: what its columns are called, and its rows of cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from twinshelf.client.files.forms.delimited_text import DelimitedText, open_delimited
from twinshelf.client.files.forms.excel_sheet import ExcelSheet, open_excel
from twinshelf.client.files.forms.json_records import JsonRecords, open_json, value_of
from twinshelf.client.files.forms.markup_table import MarkupTable, open_markup
from twinshelf.client.files.forms.nested_cells import (
    columns_within,
    names_no_title,
    object_in,
)
from twinshelf.client.files.forms.parquet_table import ParquetTable, open_parquet
from twinshelf.client.files.forms.photo_folder import PhotoFolder
from twinshelf.client.files.forms.row_label import label_of
from twinshelf.client.files.forms.stored_bytes import is_archive, kind_of, unpacked
from twinshelf.client.files.forms.xml_records import XmlRecords, open_xml
from twinshelf.client.files.forms.zip_archive import TablesWithin, find_tables
from twinshelf.client.files.names.columns import Form
from twinshelf.client.files.rows import (
    FOUND_FORM,
    BadRow,
    CellRow,
    Label,
    ProductFileError,
    TableForm,
)

_ROWS_LOOKED_AT = 20
_NAMES_OF_DELIMITERS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    " ": "blanks",
    "#": "number signs",
    "│": "drawn lines",
    "\x01": "control-A",
}


Content = (
    DelimitedText | JsonRecords | XmlRecords | MarkupTable | ParquetTable | ExcelSheet | PhotoFolder
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table whose form is known.

    Attributes:
        path: The file or folder.
        content: Its reader.
        within: What of an archive is read, where it holds several tables.
        nested: Columns that stand within objects in the cells of others, and which these are.
    """

    path: Path
    content: Content
    within: TablesWithin | None = None
    nested: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the file's order."""
        return (*self.content.header, *self.nested)

    @property
    def vector_columns(self) -> frozenset[str]:
        """Columns of lists of numbers, which hold no field."""
        return self.content.vectors if isinstance(self.content, ParquetTable) else frozenset()

    @property
    def telling_columns(self) -> tuple[str, ...]:
        """Columns whose first rows are looked at: not those of Parquet that cannot or must not."""
        if not isinstance(self.content, ParquetTable):
            return self.columns
        barred = self.content.vectors | self.content.repeated
        return tuple(name for name in self.columns if name not in barred)

    @property
    def form(self) -> str:
        """What was found, in words: "text, UTF-8, semicolons"."""
        archived = f"{' and '.join(self.within.names)} of the archive: " if self.within else ""
        return archived + self._form()

    def _form(self) -> str:
        match self.content:
            case DelimitedText() as text:
                delimiter = _NAMES_OF_DELIMITERS.get(text.delimiter, repr(text.delimiter))
                return f"text, {text.encoding.name}, cells between {delimiter}"
            case JsonRecords() as records:
                return f"{records.form}, {records.encoding.name}"
            case XmlRecords() as elements:
                return f"XML, elements {' and '.join(map('/'.join, elements.places))}"
            case MarkupTable() as markup:
                return f"{markup.kind}, table {' and '.join(map(repr, markup.tables))}"
            case ParquetTable():
                return "Parquet"
            case ExcelSheet() as sheet:
                return f"Excel, sheet {' and '.join(map(repr, sheet.sheets))}"
        return "folder of photos"

    @property
    def kind(self) -> Form:
        """What the user may say of it: a delimiter, a missing header, or neither."""
        match self.content:
            case DelimitedText():
                return "text"
            case ExcelSheet() | MarkupTable():
                return "sheet"
        return "records"

    @property
    def other_sheets(self) -> tuple[str, ...]:
        """Sheets of a workbook that are not read."""
        return self.content.other_sheets if isinstance(self.content, ExcelSheet) else ()

    @property
    def other_tables(self) -> tuple[str, ...]:
        """Tables of a page or an archive that are not read."""
        if isinstance(self.content, MarkupTable):
            return self.content.other_tables
        return self.within.others if self.within else ()

    @property
    def formula_columns(self) -> tuple[str, ...]:
        """Columns of a workbook that hold formulas without values."""
        return self.content.formula_columns if isinstance(self.content, ExcelSheet) else ()

    @property
    def unread_photos(self) -> tuple[str, ...]:
        """Photos of a folder that are of a form that is not read."""
        return self.content.unread if isinstance(self.content, PhotoFolder) else ()

    @property
    def tables_beside(self) -> tuple[str, ...]:
        """Tables that lie in a folder of photos."""
        return self.content.tables if isinstance(self.content, PhotoFolder) else ()

    @property
    def pictures(self) -> tuple[str, ...]:
        """Pictures that lie on the sheets of a workbook, in none of its cells."""
        return self.content.pictures if isinstance(self.content, ExcelSheet) else ()

    @property
    def encoding_doubt(self) -> str:
        """What the text may be written in instead, in words; empty when that is plain."""
        if not isinstance(self.content, DelimitedText | JsonRecords | XmlRecords | MarkupTable):
            return ""
        encoding = self.content.encoding
        if encoding.of_broken:
            return f"some lines of {self.path.name} are no UTF-8 and read as {encoding.of_broken}"
        if not encoding.rivals:
            return ""
        return (
            f"{self.path.name} is read as {encoding.name}; {' and '.join(encoding.rivals)} would "
            "fit as well"
        )

    def require(self, columns: Iterable[str]) -> None:
        """Checks that the table has columns.

        Raises:
            ProductFileError: If one is missing; names the file and the column.
        """
        for column in columns:
            if column not in self.columns:
                present = ", ".join(filter(None, self.columns)) or "none"
                raise ProductFileError(
                    f"{self.path} has no column {column!r}; its columns are {present}"
                )

    def rows(self, columns: Sequence[str]) -> Iterator[CellRow | BadRow]:
        """Reads some columns, row by row.

        Args:
            columns: Names out of `columns`.

        Yields:
            Each row's cells, or why the row cannot be read.

        Raises:
            ProductFileError: If the file breaks off.
        """
        name = self.path.name
        outer = list(dict.fromkeys(self.nested.get(each, each) for each in columns))
        for row_number, values in enumerate(self._values(outer), start=1):
            if isinstance(values, str):
                yield BadRow(source=name, row_number=row_number, reason=values)
            else:
                cells, label = dict(zip(outer, values[0], strict=True)), values[1]
                cells = self._with_nested(cells, columns) if self.nested else cells
                yield CellRow(source=name, row_number=row_number, cells=cells, label=label)

    def _with_nested(
        self, cells: Mapping[str, object], columns: Sequence[str]
    ) -> dict[str, object]:
        """Some columns of a row, also those within the objects of others."""
        around = {column for name in columns if (column := self.nested.get(name))}
        objects = {column: {column: object_in(cells[column])} for column in around}
        return {
            name: value_of(objects[self.nested[name]], name) if name in self.nested else cells[name]
            for name in columns
        }

    def _values(
        self, columns: Sequence[str]
    ) -> Iterator[tuple[Sequence[object], Label | None] | str]:
        """Yields what the columns hold and, of tables for people, what the row is labelled."""
        match self.content:
            case ParquetTable() as table:
                for values in table.rows(columns):
                    yield [value_of(values, name) for name in columns], None
            case (JsonRecords() | XmlRecords()) as records:
                for record in records.rows():
                    yield (
                        record
                        if isinstance(record, str)
                        else ([value_of(record, name) for name in columns], None)
                    )
            case other:
                places = [self.columns.index(name) for name in columns]
                for cells in other.rows():
                    yield (
                        cells
                        if isinstance(cells, str)
                        else ([cells[place] for place in places], label_of(cells))
                    )

    def count_rows(self) -> int:
        """Counts the rows; reads a file that does not tell once through.

        Raises:
            ProductFileError: If the file breaks off.
        """
        if isinstance(self.content, ParquetTable):
            return self.content.row_count
        return sum(1 for _ in self.content.rows())


def open_table(path: Path, form: TableForm = FOUND_FORM) -> Table:
    """Opens a table of any kind, or a folder of photos.

    Args:
        path: CSV or another delimited text, JSON, JSON lines, XML (each also .gz, .zst, .bz2, .xz),
            Parquet, Excel, OpenDocument, a web page's table, or a folder.
        form: What is known of a text's form; the rest is found.

    Raises:
        MissingFileError: If there is no such file.
        ProductFileError: If it cannot be read, or is empty.
    """
    if path.is_dir():
        return Table(path=path, content=PhotoFolder(path=path))
    within = find_tables(path) if is_archive(path) else None
    is_told = within is not None and len(within.names) + len(within.others) > 1
    content = _opened(unpacked(path), form)
    table = Table(path=path, content=content, within=within if is_told else None)
    if not names_no_title(table.columns):
        return table
    first = islice(table.rows(table.telling_columns), _ROWS_LOOKED_AT)
    nested = columns_within(row.cells for row in first if isinstance(row, CellRow))
    return replace(table, nested=nested)


def _opened(path: Path, form: TableForm) -> Content:
    match kind_of(path):
        case "parquet":
            return open_parquet(path)
        case "json":
            return open_json(path, form)
        case "xml":
            return open_xml(path, form.encoding)
        case "markup":
            return open_markup(path, has_header=form.has_header, encoding_name=form.encoding)
        case "excel":
            return open_excel(path, has_header=form.has_header)
    return open_delimited(path, form)


def read_cells(path: Path, columns: Sequence[str]) -> Iterator[CellRow | BadRow]:
    """Reads the named columns of a table whose form nobody had to say.

    Args:
        path: The file.
        columns: Columns that it must have.

    Raises:
        MissingFileError: If there is no such file.
        ProductFileError: If it cannot be read, or lacks a column.
    """
    table = open_table(Path(path))
    table.require(columns)
    return table.rows(columns)
