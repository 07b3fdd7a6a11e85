"""Markup of HTML and XML in texts, and how it is taken out.

The reader is our own: the standard library's differs between patch releases of Python, and a model
is trained on one machine and served on another. It is linear in the length of the text.
"""

from __future__ import annotations

import re

# Tags inside a word; every other tag stands between words.
_INLINE_TAGS = frozenset(
    "a abbr b bdi bdo big cite code del dfn em font i ins kbd mark nobr q s samp small span strike"
    " strong sub sup tt u var wbr".split()
)
_TAGS = _INLINE_TAGS | frozenset(
    "address article aside audio base blockquote body br button canvas caption center col colgroup"
    " data datalist dd details dialog dir div dl dt embed fieldset figcaption figure footer form"
    " frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe img input label legend li"
    " link main map marquee menu meta meter nav noframes noscript object ol optgroup option output"
    " p param picture pre progress rp rt ruby script search section select source style summary svg"
    " table tbody td template textarea tfoot th thead time title tr track ul video".split()
)
# An attribute, or an end that only markup has: behind a name, and no longer than what it matches.
_TAG_REST = re.compile(r"\s+[A-Za-z_:@][A-Za-z0-9_:@.-]*\s*=|\s*/>")
_CLOSED = re.compile(r"</([A-Za-z][A-Za-z0-9:-]*)\s*>")
_AFTER_NAME = re.compile(r"[\s/>]")
# Group 1 names an opening tag, group 2 a closing one.
_TAG_START = re.compile(r"<(?:!--|[!?]|([A-Za-z][A-Za-z0-9:-]*)|/([A-Za-z][A-Za-z0-9:-]*))")
# Comments that HTML closes where they begin.
_SHUT_COMMENT = re.compile("-?>")
_QUOTE_OR_END = re.compile(r"=\s*[\"']|>")
_HIDDEN_ENDS = {
    name: re.compile(rf"</{name}\b[^<>]*>", re.IGNORECASE | re.ASCII)
    for name in ("script", "style")
}


class _MarkupEnds:
    """Finds where markup ends, and remembers what is known to have no end.

    Without that memory a text of nothing but "<!--" would be searched whole from each of them.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._last_tag_end = text.rfind(">")
        self._last_comment_end = text.rfind("-->")
        self._obeys_quotes = True
        self._unclosed: set[str] = set()
        self._names = _TAGS | {name.lower() for name in _CLOSED.findall(text)}

    def _is_tag(self, start: re.Match[str]) -> bool:
        """Whether an opening tag is one: "<M>" and "x<y; 3>2" are text."""
        if ":" in start[1] or start[1].lower() in self._names:
            return _AFTER_NAME.match(self._text, start.end()) is not None
        return _TAG_REST.match(self._text, start.end()) is not None

    def find(self, start: re.Match[str]) -> int:
        """Where the tag or comment ends that begins at `start`; -1 when it never does."""
        if self._text.startswith("<![CDATA[", start.start()):  # what stands in it is text
            return start.start() + len("<![CDATA[")
        if start[0] == "<!--":
            if shut := _SHUT_COMMENT.match(self._text, start.end()):
                return shut.end()
            if start.end() > self._last_comment_end:
                return -1
            return self._text.find("-->", start.end()) + 3
        if start.end() > self._last_tag_end or (start[1] and not self._is_tag(start)):
            return -1
        end = self._find_outside_quotes(start.end()) if self._obeys_quotes else -1
        if end == -1:  # a quote never closes: from here on read without them
            self._obeys_quotes = False
            end = self._text.find(">", start.end()) + 1
        name = start[1] or ""
        return self._skip_hidden(name.lower(), end)

    def _find_outside_quotes(self, position: int) -> int:
        while (mark := _QUOTE_OR_END.search(self._text, position)) is not None:
            if mark[0] == ">":
                return mark.end()
            position = self._text.find(mark[0][-1], mark.end()) + 1
            if position == 0:
                return -1
        return -1

    def _skip_hidden(self, name: str, end: int) -> int:
        """Moves the end of a script's or style's opening tag to that of its closing tag."""
        if name not in _HIDDEN_ENDS or name in self._unclosed:
            return end
        hidden_end = _HIDDEN_ENDS[name].search(self._text, end)
        if hidden_end is None:
            self._unclosed.add(name)
            return end
        return hidden_end.end()


def remove_markup(text: str) -> str:
    """Takes tags, comments, scripts and styles out of a text, in one walk from left to right."""
    ends = _MarkupEnds(text)
    pieces: list[str] = []
    kept = 0  # everything before it is in `pieces`
    position = 0
    while (start := _TAG_START.search(text, position)) is not None:
        end = ends.find(start)
        if end == -1:
            position = start.end()
            continue
        pieces.append(text[kept : start.start()])
        if (start[1] or start[2] or "").lower() not in _INLINE_TAGS:
            pieces.append(" ")
        kept = position = end
    pieces.append(text[kept:])
    return "".join(pieces)
