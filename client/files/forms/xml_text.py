"""The text of an XML file, whatever its encoding, without the faults that hand-made feeds have."""

from __future__ import annotations

import html
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from functools import partial
from html.entities import html5
from pathlib import Path

from twinshelf.client.files.forms.stored_bytes import open_bytes
from twinshelf.client.files.forms.text_encoding import (
    FoundEncoding,
    errors_of,
    find_declared_encoding,
)

_BLOCK_CHARACTERS = 1 << 16
_DECLARED = re.compile(rb"<\?xml\b[^<>]*?\sencoding\s*=\s*[\"']([\w.:-]+)")
# No XML holds these, not even spelled as numbers.
_FORBIDDEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MARK = re.compile(r"(<!\[CDATA\[|<!--|\]\]>|-->)")
_ENDS = {"<![CDATA[": "]]>", "<!--": "-->"}
_AMPERSAND = re.compile(r"&(?:#(\d{1,7}|[xX][\da-fA-F]{1,6});|([A-Za-z]\w{1,31};))?")
_OF_XML = ("amp;", "lt;", "gt;", "quot;", "apos;")
_LAST_CHARACTER = 0x10FFFF
# So much at the end of a block may go on in the next.
_LONGEST_MARK = 40
_LAST_MARK = re.compile(r"&[^&]*\Z|<[^<]*\Z|-{1,3}[^-]*\Z|\]{1,3}[^]]*\Z")


def find_xml_encoding(path: Path, given: str) -> FoundEncoding:
    """Finds what an XML file is written in, as `find_declared_encoding` does."""
    return find_declared_encoding(path, _DECLARED, given)


def read_xml_text(path: Path, encoding: FoundEncoding) -> Iterator[str]:
    """Yields the text of an XML file, in blocks.

    Bytes that are not in its encoding are read as another, "&" alone and the entities of HTML as
    what they stand for, and characters that no XML may hold as blanks; blank lines at its start
    are left out: else the first of them would cost all products behind it.

    Args:
        path: The file; may be compressed.
        encoding: What it is written in.

    Raises:
        ProductFileError: If it cannot be read.
    """
    errors = errors_of(encoding)
    with io.TextIOWrapper(open_bytes(path), encoding=encoding.name, errors=errors) as file:
        blocks = iter(lambda: file.read(_BLOCK_CHARACTERS), "")
        start = next(blocks, "").lstrip(" \t\r\n\ufeff")
        yield from _escaped(itertools.chain([start], blocks))


def _escaped(blocks: Iterable[str]) -> Iterator[str]:
    rest, end, has_own = "", "", False  # what ends the comment or CDATA that has begun
    for block in itertools.chain(blocks, [""]):
        text = rest + _FORBIDDEN.sub(" ", block)
        has_own = has_own or "<!ENTITY" in text
        cut = _last_mark(text) if block else len(text)
        text, rest = text[:cut], text[cut:]
        pieces: list[str] = []
        for piece in _MARK.split(text):
            if not end and piece in _ENDS:
                end = _ENDS[piece]
            elif piece == end:
                end = ""
            elif not end and "&" in piece:
                piece = _AMPERSAND.sub(partial(_read_ampersand, has_own=has_own), piece)
            pieces.append(piece)
        yield "".join(pieces)


def _last_mark(text: str) -> int:
    """Where the first of the last marks begins, each of which may go on in the next block."""
    start = max(0, len(text) - _LONGEST_MARK)
    found = _LAST_MARK.search(text, start)
    cut = found.start() if found else len(text)
    while cut > max(0, start - 3) and text[cut - 1] in "<!-]":  # in the middle of "<!--"
        cut -= 1
    return cut


def _read_ampersand(found: re.Match[str], *, has_own: bool) -> str:
    """What an ampersand begins, as XML knows it: a number, a name, or nothing."""
    number, name = found.groups()
    if number:
        code = int(number[1:], 16) if number[0] in "xX" else int(number)
        is_allowed = 0 < code <= _LAST_CHARACTER and not _FORBIDDEN.match(chr(code))
        return found[0] if is_allowed else " "
    if name in _OF_XML or name and has_own:
        return found[0]
    return html.escape(html.unescape(found[0])) if name in html5 else f"&amp;{name or ''}"
