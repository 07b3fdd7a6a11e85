"""Which column of a table holds which field of a product, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Literal

from twinshelf.client.files.names.column_names import holds_photos, is_other_object, names_by_word
from twinshelf.client.files.names.photo_names import is_other_photo, photo_order
from twinshelf.client.files.names.plain_name import (
    PRICED_PARTS,
    is_of_part,
    plain_name,
    plain_names,
)
from twinshelf.client.files.names.price_names import (
    COST,
    distance_from_paid,
    is_gross,
    without_tax,
    year_of,
)
from twinshelf.client.files.names.usual_names import LATE_NAMES, USUAL_NAMES
from twinshelf.client.files.rows import ProductFileError

FIELDS = tuple(USUAL_NAMES)
_NEXT_FIELD = re.compile(r",(?=\s*\w+\s*=)")
_NESTING = ("attributes.", "productAttributes.")
_NESTED_FIELDS = ("product_id", "title", "description", "brand", "price", "images")
# A brand or a category alone tells no product from another.
TELLING = ("title", "description", "images")
_EMBEDDED = (*TELLING, "category", "brand")
_LONGEST_SHOWN = 80
_BESIDE_NUMBER = frozenset(plain_names("product_id_type seller_sku 商品idタイプ 出品者sku"))
_NUMBERS_OF_TRADE = frozenset(plain_names("product_id 商品id"))
_LEFT = re.compile(r"(?<![^\W_])left(?![^\W_])")
# Odoo's own: its "standard_price" is the cost, which is the price to Amazon.
_OF_ODOO = frozenset(plain_names("default_code lst_price categ_id"))
_WITHOUT_HEADER = " (a file without a header: --no-header --columns product_id=1,title=2)"
_SEVERAL_COLUMNS = "; if these are several columns: --delimiter CHARACTER"
# Text between delimiters, rows of cells under a header, or records that name what they hold.
Form = Literal["text", "sheet", "records"]
# Field to its columns: of images all are read, of prices the first that is there; else one.
Columns = dict[str, tuple[str, ...]]


def read_column_mapping(text: str) -> Columns:
    """Reads a mapping as typed on a command line, such as "title=name,images=photo".

    Args:
        text: Our field, an equals sign, the file's column or its number; commas between. A column's
            name may hold commas itself. Nothing behind the equals sign leaves the field out.
            `images` and `price` may be given several times.

    Raises:
        ValueError: If the text is no such mapping or names a field that we do not have.
    """
    mapping: Columns = {}
    for part in filter(None, (part.strip(", ") for part in _NEXT_FIELD.split(text))):
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if not (equals and field):
            raise ValueError(f"columns must look like title=name,images=photo, got {part!r}")
        if field not in FIELDS:
            raise ValueError(f"there is no field {field!r}; the fields are {', '.join(FIELDS)}")
        if field in mapping and field not in ("images", "price"):
            raise ValueError(f"columns names {field} twice")
        mapping[field] = (*mapping.get(field, ()), column) if column else ()
    return mapping


def format_column_mapping(columns: Mapping[str, Sequence[str]]) -> str:
    """Writes a mapping as `read_column_mapping` reads it."""
    return ",".join(f"{field}={name}" for field, names in columns.items() for name in names)


def map_columns(
    source: str,
    header: Sequence[str],
    given: Mapping[str, Sequence[str]],
    needed: Sequence[str] = TELLING,
    barred: AbstractSet[str] = frozenset(),
    form: Form = "text",
) -> Columns:
    """Decides which columns each field is read from.

    What is given comes first: by exact name, by name regardless of case, or by number from 1. Then
    come our own field names, then the names that shops and marketplaces use, then those that hold
    such a word. A field for which nothing is found is left out.

    Args:
        source: Name of the table, for the messages.
        header: Names of its columns.
        given: Field to columns, as the user wants it; no columns leave the field out.
        needed: Fields one of which must be there; none for no such demand.
        barred: Columns that are none of a field's, unless they are given.
        form: What the table is, which decides what the messages advise.

    Raises:
        ProductFileError: If a given column is not there, or nothing of what is needed is.
    """
    columns = {
        field: tuple(_find_column(source, header, field, name, form) for name in names)
        for field, names in given.items()
    }
    costs = _costs_of_odoo(header) - {name for names in columns.values() for name in names}
    taken = {name for names in columns.values() for name in names} | barred | costs
    for field in FIELDS:
        if field in given:
            continue
        if found := _usual_columns(header, field, taken):
            columns[field] = found
            taken.update(found)
    for field in FIELDS if len(header) > 1 else ():
        named = [c for c in header if c not in taken and _has_word(c, field)]
        if field not in given and (found := _best_by_word(named, field, columns.get(field, ()))):
            columns[field] = found
            taken.update(found)
    taken -= costs - barred
    for field in LATE_NAMES:
        found = _usual_columns(header, field, taken, LATE_NAMES) if field not in given else ()
        if found and (field not in columns or _replaces_cost(field, found, columns[field])):
            columns[field] = found
            taken.update(found)
    free = [name for name in header if name not in taken]
    if "title" not in given and all("." in name for name in columns.get("title", ())):
        columns |= _nested_columns(free, _told_plainly(columns, given))
    prices = {"price": tuple([name for name in free if is_price_of_part(name)][:1])}
    columns = prices | columns
    columns = {field: columns[field] for field in FIELDS if columns.get(field)}
    _require_no_pairs(source, header, {f: n for f, n in columns.items() if f not in given})
    is_asked_for = needed == TELLING and any(map(given.get, _EMBEDDED))
    if needed and not set(needed) & set(columns) and not is_asked_for:
        wanted = "titles or images" if needed == TELLING else "product_id"
        raise ProductFileError(_nothing_needed(source, header, wanted, form))
    return columns


def _nothing_needed(source: str, header: Sequence[str], wanted: str, form: Form) -> str:
    """The sentence for a table without a needed column; advice is by what the table is."""
    return (
        f"{source} needs a column of {wanted}, and none is named like one; it has "
        f"{_listed(header)}. Name them: --columns product_id=sku,title=name"
        + (form != "records") * _WITHOUT_HEADER
        + (form == "text" and len(header) == 1) * _SEVERAL_COLUMNS
    )


def _require_no_pairs(source: str, header: Sequence[str], found: Columns) -> None:
    for name in (name for names in found.values() for name in names):
        other = _LEFT.sub("right", name)
        if other != name and other in header:
            raise ProductFileError(
                f"{source} holds pairs of products: {name} and {other}. Name the columns of one "
                "side: --columns product_id=id_left,title=title_left"
            )


def usual_identifiers(header: Sequence[str]) -> list[str]:
    """Returns the columns that the usual names of an identifier have, the better first."""
    found: list[str] = []
    while more := _usual_columns(header, "product_id", set(found)):
        found += more
    return found


@lru_cache(maxsize=64)  # the objects of a JSON table have a few sets of names
def has_embedded(header: tuple[str, ...]) -> bool:
    """Whether a header names, in the usual way, anything that is embedded."""
    return any(_usual_columns(header, field, set()) for field in _EMBEDDED)


def has_title(header: Sequence[str]) -> bool:
    """Whether a header names a title in the usual way."""
    return bool(_usual_columns(header, "title", set()))


def has_price(header: Sequence[str]) -> bool:
    """Whether a header names a price."""
    names = (USUAL_NAMES, LATE_NAMES)
    return any(_usual_columns(header, "price", set(), each) for each in names) or any(
        names_by_word(name, "price") for name in header
    )


def is_price_of_part(column: str) -> bool:
    """Whether a column is the price of what a product has several of, further within."""
    outer, _, inner = column.partition(".")
    return outer.casefold() in PRICED_PARTS and has_price((inner.rpartition(".")[2],))


def named_fields(header: Sequence[str]) -> int:
    """Counts the fields that a header names in the usual way."""
    return sum(bool(_usual_columns(header, field, set())) for field in FIELDS)


def _find_column(source: str, header: Sequence[str], field: str, name: str, form: Form) -> str:
    if name in header:
        return name
    folded = [column for column in header if column.casefold() == name.casefold()]
    if len(folded) == 1:
        return folded[0]
    if name.isdecimal() and 1 <= int(name) <= len(header):
        return header[int(name) - 1]
    raise ProductFileError(
        f"{source} has no column {name!r} for {field}; it has {_listed(header)}"
        + (form == "text") * ". If these are not its columns: --delimiter CHARACTER"
    )


def _listed(header: Sequence[str]) -> str:
    return ", ".join(name[:_LONGEST_SHOWN] for name in header)[: 10 * _LONGEST_SHOWN] or "none"


def _has_word(column: str, field: str) -> bool:
    """Whether a column's name holds a field's word; "sellers.price" is no seller."""
    return names_by_word(column, field) and not (field == "seller" and is_price_of_part(column))


def _told_plainly(columns: Columns, given: Mapping[str, Sequence[str]]) -> Columns:
    """Leaves out what only the name of an object around it tells, and not its own."""
    usual = {each for names in USUAL_NAMES.values() for each in names}

    def is_plain(name: str) -> bool:
        _, point, inner = name.rpartition(".")
        return not point or plain_name(inner) in usual

    return {f: names for f, names in columns.items() if f in given or any(map(is_plain, names))}


def _nested_columns(header: Sequence[str], known: Columns) -> Columns:
    """What objects in a row hold under usual names: "attributes.title", "item_data.name"."""
    nested: dict[str, str] = {}
    of_photos: dict[str, str] = {}
    for name in sorted(header, key=lambda n: (not n.startswith(_NESTING), n.count("."))):
        outer, point, inner = name.partition(".")
        while point:
            if not is_other_object(outer):
                nested.setdefault(inner, name)
            elif holds_photos(outer):
                of_photos.setdefault(inner, name)
            else:
                break
            outer, point, inner = inner.partition(".")
    found_columns = {
        field: tuple(places[name] for name in found)
        for field in _NESTED_FIELDS
        for places in ({**of_photos, **nested} if field == "images" else nested,)
        if field not in known and (found := _usual_columns(tuple(places), field, set()))
    }
    late = _usual_columns(tuple(nested), "title", set(), LATE_NAMES)
    if late and "title" not in {*known, *found_columns}:
        found_columns["title"] = tuple(nested[name] for name in late)
    return found_columns


def _usual_columns(
    header: Sequence[str],
    field: str,
    taken: set[str],
    names: Mapping[str, Sequence[str]] = USUAL_NAMES,
) -> tuple[str, ...]:
    """The best column for a field; for images all of one kind, such as image1 to image9."""
    by_name = _by_plain_name(header, taken, has_tax=names is LATE_NAMES)
    if field == "images":
        found = [column for name in USUAL_NAMES[field] for column in by_name.get(name, ())]
        found = [c for c in found if c.rpartition(".")[0] not in found]  # of the photo itself
        # A thumbnail is a smaller copy of a photo that stands there already.
        large = [column for column in found if "thumb" not in column.casefold()]
        return tuple(large or found[:1])
    usual = names[field]
    if field in ("price", "category"):  # by number: "VK 1", "Category 1"
        for name in sorted(by_name, key=lambda name: -year_of(name)):
            by_name.setdefault(name.rstrip("0123456789"), by_name[name])
    # What product-id-type tells of is a number of Amazon's or the trade, and not the seller's own.
    if field == "product_id" and not _BESIDE_NUMBER.isdisjoint(by_name):
        usual = sorted(usual, key=_NUMBERS_OF_TRADE.__contains__)
    if not (named := [by_name[name] for name in usual if name in by_name]):
        return ()
    if field == "price":
        if names is LATE_NAMES:  # none of them is plainly what is paid
            named = sorted(named, key=lambda same: min(map(distance_from_paid, same)))
        return (min(named[0], key=lambda name: (distance_from_paid(name), not is_gross(name))),)
    # The title of a variant is none of the product's, if that has one itself.
    return (next((same[0] for same in named if not is_of_part(same[0])), named[0][0]),)


def _by_plain_name(
    header: Sequence[str], taken: set[str], *, has_tax: bool
) -> dict[str, list[str]]:
    """The columns of each plain name; where prices may tell of the tax also of that without it."""
    by_name: dict[str, list[str]] = {}
    for column in dict.fromkeys(header):
        # "@type" and "@context" are JSON-LD's own.
        own = column.rpartition(".")[2] or column
        if own and column not in taken and (own[0] != "@" or own == "@id"):
            # An address of JSON-LD's comes behind the shop's own number.
            name = "uuid" if own == "@id" else plain_name(column)
            by_name.setdefault(name, []).append(column)
    for name in [name for name in by_name if has_tax and without_tax(name) not in by_name]:
        by_name.setdefault(without_tax(name), []).extend(by_name[name])
    return by_name


def _replaces_cost(field: str, found: tuple[str, ...], known: tuple[str, ...]) -> bool:
    """Whether a price stands in for what the shop pays itself."""
    is_cost, *others = (distance_from_paid(name) == COST for name in (*known, *found))
    return field == "price" and is_cost and not any(others)


def _costs_of_odoo(header: Sequence[str]) -> set[str]:
    plain = {name: plain_name(name) for name in header}
    is_odoo = not _OF_ODOO.isdisjoint(plain.values())
    return {name for name in header if is_odoo and plain[name] == "standardprice"}


def _best_by_word(named: Sequence[str], field: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Of columns whose names hold a field's word the shortest; of photos all, of prices the paid.

    Where a column has a usual name, photos join it, and a price that is nearer to what is paid
    takes its place.
    """
    if field == "images":
        inner = [c for c in named if c.rpartition(".")[0] in {*named, *known}]
        outer = [c for c in named if c not in inner]
        own = [c for c in outer if not is_other_photo(c) and "thumb" not in c.casefold()]
        more = own if own or known else outer
        return tuple(sorted((*known, *more), key=photo_order))
    if field == "price":
        best = min(
            named,
            key=lambda n: (
                distance_from_paid(n),
                not is_gross(n),
                "retail" in n.casefold(),
                -year_of(n),
                len(n),
            ),
            default="",
        )
        is_best = best and (not known or distance_from_paid(best) < distance_from_paid(known[0]))
        return (best,) if is_best else ()
    return (min(named, key=len),) if named and not known else ()
