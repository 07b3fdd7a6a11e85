"""Texts as no shop writes them, as bytes that may not even be UTF-8; drawn from seed and number."""

from __future__ import annotations

import random
from collections.abc import Callable

_TITLES = (
    "Stelton washing gel rose, 500 ml",
    "<b>Кофе</b> &amp; ЧАЙ\n 2 × 250 г",
    "<p class='a>b'>Té <i>verde</i></p><!-- x --> | <script>1 < 2</script>",
    "ｆｕｌｌ ｗｉｄｔｈ ①②③ ﬁ ℃ 한국어 日本語 العربية",
)
_TAGS = (
    "<b>",
    "</b>",
    "<!--",
    "-->",
    "<script>",
    "</script>",
    "<style ",
    "<a href='",
    '="',
    ">",
    "<",
)
_ENTITIES = (
    "&amp;",
    "&",
    "&#",
    "&#x",
    ";",
    "&#0;",
    "&#x110000;",
    "&#xd800;",
    "&lt;",
    "&nbsp;",
    "amp;",
)
_BLANKS = (" ", "\n", "\t", "\0", "\x1b", "\u00a0", "\u2028", "\u3000", "\ufeff", " | ", "|")
_DIRECTIONS = ("\u202e", "\u202d", "\u2066", "\u2069", "\u200f", "\u200d", "\U000e0041")
_MARKS = ("\u0301", "\u0323", "\u0489", "\u0f71", "\u3099", "\U0001d165")
_WIDENING = ("\ufdfa", "\u3300", "\ufb03", "\uac00", "\u1e9b\u0323", "\u0344")
# Bytes that no UTF-8 text holds: lone surrogates, too long forms, past the last code point.
_BROKEN = (b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xff", b"\xe2\x82")


def make_text(seed: int, number: int) -> bytes:
    """Returns the text of a number; about a fifth is not UTF-8, one of 500 is huge."""
    rng = random.Random(f"text {seed} {number}")
    pieces = [rng.choice(_PIECES)(rng) for _ in range(rng.choice((1, 1, 2, 5)))]
    text = rng.choice(("", " ", "\n")).join(pieces)
    if rng.random() < 0.002:
        text = (text or "x") * (rng.choice((70_000, 300_000)) // max(1, len(text)))
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.2:
        position = rng.randrange(len(data) + 1)
        data = data[:position] + rng.choice((*_BROKEN, rng.randbytes(4))) + data[position:]
    if rng.random() < 0.05:
        data = data[: rng.randrange(len(data) + 1)]
    return data


def _title(rng: random.Random) -> str:
    return rng.choice(_TITLES)


def _any_characters(rng: random.Random) -> str:
    last = rng.choice((0x7F, 0x24F, 0xFFFF, 0x10FFFF))
    return "".join(chr(rng.randint(0, last)) for _ in range(rng.choice((1, 5, 50))))


def _surrogates(rng: random.Random) -> str:
    return "".join(chr(rng.randint(0xD800, 0xDFFF)) for _ in range(rng.randint(0, 2)))


def _markup(rng: random.Random) -> str:
    return "".join(rng.choice((*_TAGS, "a")) for _ in range(rng.choice((2, 10, 80))))


def _nested_markup(rng: random.Random) -> str:
    depth = rng.choice((1, 3, 100))
    tag = rng.choice(("b", "script", "style", "a:b-c"))
    return f"<{tag}>" * depth + "x" + f"</{tag}>" * rng.choice((0, depth, depth + 1))


def _entities(rng: random.Random) -> str:
    return "".join(rng.choice((*_ENTITIES, "x")) for _ in range(rng.choice((2, 10, 80))))


def _escaped_often(rng: random.Random) -> str:
    text = rng.choice(("<b>x</b>", "&", "<script>", "é"))
    for _ in range(rng.choice((1, 2, 12))):
        text = text.replace("&", "&amp;").replace("<", "&lt;")
    return text[:5000]


def _blanks(rng: random.Random) -> str:
    return "".join(rng.choice((*_BLANKS, *_DIRECTIONS)) for _ in range(rng.choice((1, 5, 60))))


def _marks(rng: random.Random) -> str:
    return "a" + "".join(rng.choice(_MARKS) for _ in range(rng.choice((1, 5, 31, 300))))


def _widening(rng: random.Random) -> str:
    return rng.choice(_WIDENING) * rng.choice((1, 5, 200))


def _one_long_word(rng: random.Random) -> str:
    return rng.choice(("a", "é", "語", "0", "-", "\U0001f9d1\u200d")) * rng.choice((20, 101, 500))


_PIECES: tuple[Callable[[random.Random], str], ...] = (
    _title,
    _title,
    _any_characters,
    _surrogates,
    _markup,
    _nested_markup,
    _entities,
    _escaped_often,
    _blanks,
    _marks,
    _widening,
    _one_long_word,
)
