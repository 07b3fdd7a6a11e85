"""XML feeds, such as those of Google Merchant, Yandex, Heureka or BMEcat: an element a product."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from twinshelf.client.files.forms.json_records import LONGEST_RECORD_CHARACTERS, header_of
from twinshelf.client.files.forms.json_shapes import Record
from twinshelf.client.files.forms.text_encoding import FoundEncoding
from twinshelf.client.files.forms.xml_text import find_xml_encoding, read_xml_text
from twinshelf.client.files.names.columns import named_fields
from twinshelf.client.files.rows import ProductFileError

_SAMPLE_RECORDS = 1000
# So many elements that name so many fields are the products: no more needs to be looked at.
_PLAINLY_MANY, _PLAINLY_FIELDS = 10_000, 4
# Elements of another kind that name fewer are categories, shops, reviews.
_FIELDS_OF_PRODUCT = 3
_SAMPLE_CHARACTERS = 64 * 1024 * 1024
# Their own name stands in an attribute: <field name="title">.
_FIELD_TAGS = frozenset(
    "field column str int long float double bool date arr property prop cell".split()
)
# <price xsi:nil="true"/>, as databases and web services write nothing; OData has a name of its own.
_NOTHING = ("}nil", "}null")
# Attributes that name the language of a text.
_LANGUAGES = (
    "lang", "{http://www.w3.org/XML/1998/namespace}lang", "language", "sprache", "langue", "lingua",
)  # fmt: skip
_MOST_NESTED = 64
# How far within a product, as ONIX has it, its title may stand.
_DEEPEST = 7
_PRODUCT = re.compile("product|item|offer|article|artikel|good|entry", re.IGNORECASE)
_CALLED_PRODUCT = re.compile(rf"(?:{_PRODUCT.pattern})$", re.IGNORECASE)
_INLINE_TAGS = frozenset("a b big em i sub sup small span strong u".split())
# The names of the elements around one and its own, the outermost first.
_Place = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class XmlRecords:
    """A table of XML elements.

    Attributes:
        path: The file.
        encoding: Its encoding.
        places: Of each kind of product the names of the elements around it and its own, the
            outermost first.
        header: Names of what the first products hold; those within behind the outer's own:
            "details.title".
    """

    path: Path
    encoding: FoundEncoding
    places: tuple[_Place, ...]
    header: tuple[str, ...]

    def rows(self) -> Iterator[Record | str]:
        """Yields each product, or why the rest cannot be read.

        Raises:
            ProductFileError: If the file breaks off.
        """
        categories: dict[str, str] = {}
        number = 0
        try:
            for place, element in _elements(self.path, self.encoding, self.places):
                if place[-1:] == ("category",) and "id" in element.attrib:
                    categories[element.attrib["id"]] = (element.text or "").strip()
                if place not in self.places:
                    continue
                number += 1
                record = _record_of(element)
                if (known := categories.get(str(record.get("categoryId")))) is not None:
                    record["category"] = known  # Yandex names each category once, at the top
                if "model" in record and not record.keys() & {"name", "title"}:
                    record["name"] = _title_of_parts(record)
                yield record
        except ParseError as error:
            yield f"element {number + 1}: is no XML: {error}; the rest cannot be read"


@dataclass(slots=True)
class _Kind:
    """Elements of one place: how many there are, and what they and those within them hold."""

    count: int = 0
    own: set[str] = field(default_factory=set)
    within: set[str] = field(default_factory=set)


def open_xml(path: Path, encoding_name: str = "") -> XmlRecords:
    """Finds which elements of an XML file are the products.

    They are those that stand there several times and name most fields of a product, of equal ones
    the outer, and others beside them that hold much the same.

    Args:
        path: The file; may be compressed.
        encoding_name: What the user says that it is written in; empty to find it.

    Raises:
        ProductFileError: If it is no XML, or nothing in it names what a product has.
    """
    kinds: dict[_Place, _Kind] = {}
    broken = ""
    encoding = find_xml_encoding(path, encoding_name)
    try:
        for place, element in _elements(path, encoding):
            kind = kinds.setdefault(place, _Kind())
            kind.count += 1
            kind.own.update(element.attrib)
            kinds.setdefault(place[:-1], _Kind()).own.add(place[-1])
            kinds.setdefault(place[:-2], _Kind()).within.add(place[-1])
            if kind.count == _PLAINLY_MANY and _count_fields(kind) >= _PLAINLY_FIELDS:
                break
    except ParseError as error:
        broken = str(error)

    counts = {place: _count_fields_of(place, kinds) for place in kinds if kinds[place].count}

    def fitness(place: _Place) -> tuple[bool, bool, int, int]:
        """Whether they are several, and called products; how many fields they name, how far out."""
        is_called = _PRODUCT.search(place[-1]) is not None
        return kinds[place].count > 1, is_called, counts[place], -len(place)

    told = [place for place, count in counts.items() if count > 1]
    if not told and broken:
        raise ProductFileError(f"{path} cannot be read as XML: {broken}")
    if not told:
        raise ProductFileError(
            f"{path} is XML of which no element names what a product has; expected elements such "
            "as <item> with <id>, <title> and <price> in each"
        )
    best = max(told, key=fitness)
    places = _alike(kinds, best, told)
    records = XmlRecords(path=path, encoding=encoding, places=places, header=())
    sample = itertools.islice(records.rows(), _SAMPLE_RECORDS)
    header = header_of([record for record in sample if not isinstance(record, str)])
    return replace(records, header=header)


def _alike(
    kinds: Mapping[_Place, _Kind], best: _Place, told: Sequence[_Place]
) -> tuple[_Place, ...]:
    """The best kind, and those that hold most of what it does, none within another."""
    places = [best]
    for place in sorted(told, key=len):
        shared, own = kinds[place].own & kinds[best].own, kinds[place].own | kinds[best].own
        is_alike = 2 * len(shared) > len(own) and _count_fields(kinds[place]) >= _FIELDS_OF_PRODUCT
        is_apart = all(place[: len(p)] != p[: len(place)] for p in places)
        if is_alike and is_apart:
            places.append(place)
    return tuple(places)


def _count_fields_of(place: _Place, kinds: Mapping[_Place, _Kind]) -> int:
    """How many fields elements name; of those called products that name few, deep within as well.

    Else what lies around their titles or their prices would be taken for them.
    """
    count = _count_fields(kinds[place])
    if count >= _FIELDS_OF_PRODUCT or not place or not _CALLED_PRODUCT.search(place[-1]):
        return count
    within = {
        name
        for other, kind in kinds.items()
        if other[: len(place)] == place and len(other) < len(place) + _DEEPEST
        for name in kind.own
    }
    return max(count, named_fields(tuple(sorted(within))))


def _count_fields(kind: _Kind) -> int:
    """How many fields elements name; of one alone, such as the shop's, not what lies within."""
    return named_fields(tuple(sorted(kind.own | kind.within if kind.count > 1 else kind.own)))


def _elements(
    path: Path, encoding: FoundEncoding, products: Sequence[_Place] = ()
) -> Iterator[tuple[_Place, Element]]:
    """Yields each element where it ends, the inner before the outer.

    Args:
        path: The file.
        encoding: Its encoding.
        products: Where the products stand, of which one is kept at a time; without them nothing is
            kept, and the first 64 million characters are read.

    Raises:
        ParseError: If it is no XML.
        ProductFileError: If a product is larger than 64 MiB, or the file cannot be read.
    """
    parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
    stack: list[Element] = []
    place: _Place = ()
    length = 0
    for block in read_xml_text(path, encoding):
        parser.feed(block)
        length += len(block)  # of the product, or of all
        for event in parser.read_events():
            element = event[-1]
            if not isinstance(element, Element):
                continue
            if event[0] == "start":
                if len(stack) == _MOST_NESTED:
                    raise ProductFileError(f"{path} nests elements over {_MOST_NESTED} deep")
                place = (*place, _name(element))
                stack.append(element)
                continue
            yield place, element
            is_part = any(len(place) > len(p) and place[: len(p)] == p for p in products)
            place = place[:-1]
            stack.pop()
            if not is_part and stack:
                stack[-1].remove(element)
                length = 0 if products else length
        if not products and length >= _SAMPLE_CHARACTERS:
            return
        if products and length > LONGEST_RECORD_CHARACTERS:
            raise ProductFileError(f"{path} holds a product of more than 64 MiB")
    parser.close()


def _title_of_parts(record: Record) -> str:
    """The title that Yandex gives in parts: what it is, who makes it, and the model."""
    parts = (record.get(name) for name in ("typePrefix", "vendor", "model"))
    return " ".join(part for part in parts if isinstance(part, str))


def _name(element: Element) -> str:
    """The name of an element without its namespace: "g:price" is price; of a <field> its own."""
    name = element.tag.rpartition("}")[2]
    return element.attrib.get("name", name) if name in _FIELD_TAGS else name


def _record_of(element: Element) -> Record:
    """What an element holds, by name; several of one name are a list."""
    record: Record = dict(element.attrib)
    tags: dict[str, str] = {}
    lists: dict[str, list[object]] = {}
    for child in element:
        name, value = _name(child), _value_of(child)
        if name not in tags:
            tags[name] = child.tag
            record[name] = value
        elif tags[name] != child.tag:  # "title" and "g:title" are one
            record[name] = record[name] or value
        else:
            several = lists.get(name)
            if several is None:
                record[name] = lists[name] = several = [record[name]]
            several.append(value)
    return record


def _value_of(element: Element) -> object:
    """A text; what stands within, by name; of <param name="Colour">red</param> name and value."""
    text = (element.text or "").strip()
    if len(element):
        if text or any((child.tail or "").strip() for child in element):
            return _text_of(element)
        record = _record_of(element)
        if record.get("name") == _name(element):
            del record["name"]
        return record if (several := _several_within(element, record)) is None else several
    if not text:
        is_nothing = _name(element) in (element.attrib.get("name"), "language")
        is_nothing |= any(name.endswith(_NOTHING) for name in element.attrib)
        return None if is_nothing else dict(element.attrib) or None
    name = element.attrib.get("name") or element.attrib.get("attribute-id")
    if name is not None and name != _name(element):
        return {"name": name, "value": text}
    language = next(filter(None, map(element.attrib.get, _LANGUAGES)), None)
    if _name(element) == "language":
        language = element.attrib.get("id")
    return {"language": language, "value": text} if language else text


def _several_within(element: Element, record: Record) -> list[object] | None:
    """The objects of an element such as <variants> that holds one <variant> or several."""
    (tag, *others), name = {*map(_name, element)}, _name(element)
    is_plural = name != tag and name.casefold().startswith(tag[:-1].casefold())
    if others or not is_plural or {*record} - {tag, "type"}:
        return None
    value = record[tag]
    several = value if isinstance(value, list) else [value]
    return several if any(isinstance(each, dict) for each in several) else None


def _text_of(element: Element) -> str:
    """A text with elements among its words, as XHTML has: a blank for those that part lines."""
    parts = [element.text or ""]
    for child in element:
        blank = "" if child.tag.rpartition("}")[2].casefold() in _INLINE_TAGS else " "
        parts += [blank, _text_of(child), blank, child.tail or ""]
    return " ".join("".join(parts).split())
