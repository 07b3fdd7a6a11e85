"""`--check`: what a file is, how its columns would be read, and what would become of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from twinshelf.client.files.column_guess import map_table
from twinshelf.client.files.column_proposal import guess_columns, header_is_data
from twinshelf.client.files.findings import count_of
from twinshelf.client.files.forms.table import Table, open_table
from twinshelf.client.files.names.columns import FIELDS, Columns, format_column_mapping
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import BadRow, ProductFileError

BAD_ROWS_SHOWN = 30
COLUMNS_SHOWN = 20
PRODUCTS_SHOWN = 3
_LONGEST_TITLE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """How a file could be read.

    Attributes:
        path: The file.
        form: What was found, in words.
        has_header: Whether the first row names the columns.
        columns: Field to columns.
        other_columns: Columns that no field is read from.
        is_guessed: Whether a column was told by its content, so that it must be asked for.
    """

    path: Path
    form: str
    has_header: bool
    columns: Columns
    other_columns: tuple[str, ...]
    is_guessed: bool

    @property
    def options(self) -> str:
        """The options that read the file like this; empty when none are needed."""
        if not self.is_guessed:
            return ""
        header = "" if self.has_header else "--no-header "
        return f"{header}--columns '{format_column_mapping(self.columns)}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstProduct:
    """A product as it would be stored, so that people see what was read.

    Attributes:
        product_id: Its identifier.
        title: Its title.
        brand: Its brand.
        category: Its category.
        price: Its price; None when unknown.
        description: Its description.
        seller: Its seller.
        group: Its group.
        attributes: Its attributes.
        photos: Names of its photos.
    """

    product_id: str
    title: str
    brand: str
    category: str
    price: float | None
    description: str
    seller: str
    group: str
    attributes: Mapping[str, str]
    photos: tuple[str, ...]

    def __str__(self) -> str:
        price = "" if self.price is None else f"{self.price:.2f}"
        shown = (self.title[:_LONGEST_TITLE], price, self.brand, self.category, *self.photos[:1])
        return f"{self.product_id}: {', '.join(filter(None, shown))}"


@dataclass(slots=True, kw_only=True)
class FileCheck:
    """What would become of the rows of files.

    Attributes:
        proposals: How each file would be read.
        both_count: Products with a photo and a text.
        image_count: Products with a photo alone.
        text_count: Products with a text alone.
        bad_count: Rows that would fail.
        bad_rows: The first of them.
        first_products: The first that would be stored.
        findings: What would be left empty or left out, in sentences.
        updated_fields: Fields of stored products that would be changed; none stores whole products.
    """

    proposals: list[Proposal]
    both_count: int = 0
    image_count: int = 0
    text_count: int = 0
    bad_count: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)
    first_products: list[FirstProduct] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    updated_fields: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Says all of it, a line at a time."""
        for proposal in self.proposals:
            yield f"{proposal.path}: {proposal.form}"
            for name, columns in proposal.columns.items():
                yield f"  {name} from {' and '.join(map(_column, columns))}"
            if proposal.other_columns:
                more = len(proposal.other_columns) - COLUMNS_SHOWN
                shown = ", ".join(map(_column, proposal.other_columns[:COLUMNS_SHOWN]))
                yield f"  not read: {shown}" + (f" and {more:,} more" if more > 0 else "")
            if "product_id" not in proposal.columns:
                yield "  product_id from the number of the row"
            if proposal.options:
                yield f"  read it with: {proposal.options}"
        if not (self.bad_count or self.first_products or self.findings):
            yield "there is no row below the header"
        yield self._verdict()
        yield from (f"  {product}" for product in self.first_products)
        yield from self.findings
        yield f"{count_of(self.bad_count, 'row')} would fail"
        yield from (f"  {row}" for row in self.bad_rows)
        if self.bad_count > len(self.bad_rows):
            yield f"  and {self.bad_count - len(self.bad_rows):,} more"

    def _verdict(self) -> str:
        product_count = self.both_count + self.image_count + self.text_count
        is_asked = any(each.options for each in self.proposals)
        like_this = " with these options, none without them" * is_asked
        if self.updated_fields:
            changed = ", ".join(self.updated_fields)
            return (
                f"{count_of(product_count, 'product')} would be changed{like_this}, those of them "
                f"that are stored: {changed}"
            )
        return (
            f"{count_of(product_count, 'product')} would be stored{like_this}: {self.both_count:,} "
            f"by photo and text, {self.image_count:,} by photo alone, "
            f"{self.text_count:,} by text alone"
        )


def check_files(paths: Sequence[Path], options: ReadOptions) -> FileCheck:
    """Reads every row of files and stores nothing.

    Args:
        paths: The files.
        options: How to read them; columns that are not given and have no usual name are guessed.

    Raises:
        ProductFileError: If a file cannot be read, or nothing in it looks like a product.
    """
    check = FileCheck(
        proposals=[propose(Path(path), options) for path in paths],
        updated_fields=options.updated_fields,
    )
    if any(proposal.is_guessed for proposal in check.proposals):  # each has options of its own
        read = [ProductFiles([each.path], _as_proposed(each, options)) for each in check.proposals]
    else:
        read = [ProductFiles(paths, options)]
    for files in read:
        for row in files.rows():
            _count(row, check)
        check.findings += files.findings.sentences()
    return check


def _as_proposed(proposal: Proposal, options: ReadOptions) -> ReadOptions:
    form = replace(options.form, has_header=proposal.has_header)
    columns = proposal.columns if proposal.is_guessed else options.columns
    return replace(options, columns=columns, form=form)


def propose(path: Path, options: ReadOptions) -> Proposal:
    """Finds out how a file could be read.

    Args:
        path: The file.
        options: What is known already.

    Raises:
        ProductFileError: If it cannot be read, or nothing in it looks like a product.
    """
    table = open_table(path, options.form)
    named = _named(table, options)
    has_header = options.form.has_header
    if has_header and not named and header_is_data(table):
        has_header = False
        table = open_table(path, replace(options.form, has_header=False))
        named = _named(table, options)
    found = named or map_table(table, guess_columns(table), needed=())
    columns = {name: found[name] for name in FIELDS if found.get(name)}
    if not named and not set(options.needed_fields) & set(columns):
        map_table(table, options.columns, options.needed_fields)  # says what is missing
    read = {name for names in columns.values() for name in names}
    return Proposal(
        path=path,
        form=table.form,
        has_header=has_header,
        columns=columns,
        other_columns=tuple(
            name for name in table.columns if name not in read and name.split(".")[0] not in read
        ),
        is_guessed=columns != named or has_header != options.form.has_header,
    )


def _column(name: str) -> str:
    """A column as people speak of it; one without a name is called by its number, if any."""
    shown = re.sub(r"[\r\n]+", " ", name)
    return f"column {name}" if name.isdecimal() else shown or "one without a name"


def _named(table: Table, options: ReadOptions) -> Columns:
    try:
        return map_table(table, options.columns, options.needed_fields)
    except ProductFileError:
        if options.columns:  # what the user asked for is not there: no guess may hide it
            raise
        return {}


def _count(row: ProductRow | BadRow, check: FileCheck) -> None:
    if isinstance(row, ProductRow) and len(check.first_products) < PRODUCTS_SHOWN:
        shared = (f.name for f in fields(FirstProduct) if f.name != "photos")
        photos = tuple(photo.name or "a photo of the table" for photo in row.photos)
        check.first_products.append(
            FirstProduct(**{name: getattr(row, name) for name in shared}, photos=photos)
        )
    if isinstance(row, BadRow):
        check.bad_count += 1
        if len(check.bad_rows) < BAD_ROWS_SHOWN:
            check.bad_rows.append(row)
    elif row.main_photo is None:
        check.text_count += 1
    elif row.has_text:
        check.both_count += 1
    else:
        check.image_count += 1
