"""The lists of a JSON answer, and where the objects in them begin, of which one may be broken."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from twinshelf.client.files.forms.json_shapes import LIST_NAME, NO_TABLES, Record

DECODER = json.JSONDecoder(strict=False)  # line ends and tabs may stand in a text
_NEXT_OBJECT = re.compile(r"\}\s*,\s*(?=\{)")
# A text, though cut off at the end of a block, or a comma behind the last of a list or an object.
_LAST_COMMA = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))|,(?=\s*[]}])', re.DOTALL)
_LONGEST_LITERAL = 16  # such as "-Infinity"
_KEY = r'\s*"(?:[^"\\]|\\.)*"\s*:\s*'
_PLAIN_MEMBER = (
    _KEY + r'(?:"(?:[^"\\]|\\.)*"|[-+.\w]+|\{[^][{}]*(?:\{[^][{}]*\}[^][{}]*)*\}|\[[^][{}]*\])\s*,'
)
_LIST_KEY = rf'\s*"(?:{LIST_NAME.removesuffix("|offers")})"\s*:\s*'
# The list of an answer such as {"count": 2, "products": [{. A product may have offers as well, so
# that these are such a list only where nothing stands before them.
_LIST_WITHIN = re.compile(
    rf'\s*(?:(?:\{{(?:{_PLAIN_MEMBER})*{_LIST_KEY})+|\{{\s*"offers"\s*:\s*)(?=\[\s*\{{)',
    re.IGNORECASE,
)
# Another list of the same object, behind the first.
_LIST_BEHIND = re.compile(rf'[\s}}]*,(?:{_PLAIN_MEMBER})*\s*"([^"\\]*)"\s*:\s*\[(?=\s*\{{)')


def begin_list(text: str) -> tuple[bool, int]:
    """Tells whether an object wraps the list that a text begins with, and where its items begin.

    Args:
        text: The first part of the file; what begins with an object and no list has items from 0.
    """
    opening = _LIST_WITHIN.match(text)
    if opening is None and text.lstrip()[:1] != "[":
        return False, 0
    return opening is not None, text.find("[", opening.end() if opening else 0) + 1


def without_last_commas(text: str) -> str:
    """JSON without what templates write behind the last of a list: [1, 2,] is [1, 2]."""
    return _LAST_COMMA.sub(lambda found: found[1] or "", text)


class JsonLists:
    """The lists of an answer, one behind another, of which those of other things are left out."""

    def __init__(self) -> None:
        """Begins before the first list."""
        self._known: Record = {}  # the first product
        self._is_read = self._is_first = True

    def next_in(self, text: str) -> int:
        """Where the next list begins in what stands behind one; 0 where there is none."""
        if behind := _LIST_BEHIND.match(text):
            self._is_read, self._is_first = behind[1].casefold() not in NO_TABLES, True
            return behind.end()
        page = _LIST_WITHIN.match(text, text.find("\n") + 1)
        self._is_read, self._is_first = True, False
        return text.find("[", page.end()) + 1 if page else 0

    def takes(self, value: object) -> bool:
        """Whether a value is read: those of a list whose first is much like the first product."""
        if self._is_first and isinstance(value, dict):
            self._is_first = False
            self._known = self._known or value
            self._is_read &= self._is_like_known(value)
        return self._is_read

    def place_behind(self, text: str, position: int, error: Exception) -> int:
        """Where the next object like the first begins, behind a broken one; 0 where none does.

        What only goes on in the next block is not broken: there the error is at the end.
        """
        is_broken = isinstance(error, json.JSONDecodeError) and (
            error.pos < len(text) - _LONGEST_LITERAL and not error.msg.startswith("Unterminated")
        )
        for end in _NEXT_OBJECT.finditer(text, position) if is_broken and self._known else ():
            with suppress(ValueError, RecursionError):
                value, _ = DECODER.raw_decode(text, end.end())
                if self._is_like_known(value):
                    return end.end()
        return 0

    def _is_like_known(self, value: Record) -> bool:
        shared, all_names = value.keys() & self._known.keys(), value.keys() | self._known.keys()
        return 2 * len(shared) > len(all_names) or not all_names
