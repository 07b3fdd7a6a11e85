"""The encoding of a text table, found from its bytes."""

from __future__ import annotations

import codecs
import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from twinshelf.client.files.stored_bytes import open_bytes

# The old encodings that product tables are written in, the likelier ones first.
OLD_ENCODINGS = (
    "cp1252",
    "mac_roman",
    "cp1251",
    "cp1250",
    "iso8859_2",
    "cp1254",
    "koi8_r",
    "cp1253",
    "cp1255",
    "cp1256",
    "shift_jis",
    "gb18030",
    "euc_kr",
    "big5",
    "euc_jp",
    "cp850",
    "cp866",
)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE_SIGNS = b'\n\r,;\t|#"'
_BLOCK_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 18
# Bytes that no old encoding explains as a language still have to be read as something.
_LIKELIEST = "cp1252"


def find_encoding(path: Path) -> str:
    """Finds the encoding of a text file.

    A byte order mark decides, then zero bytes (UTF-16), then whether the text is UTF-8; what is
    none of these is an old encoding, chosen by how much its letters look like a language. A file
    most of whose non-ASCII lines are UTF-8 is UTF-8 with a few broken cells.

    Args:
        path: The file; may be compressed.

    Returns:
        Python's name of the encoding.

    Raises:
        ProductFileError: If the file cannot be read.
    """
    state = path.stat()
    return _find_encoding(path.absolute(), state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _find_encoding(path: Path, byte_count: int, written_ns: int) -> str:
    with open_bytes(path) as file:
        start = file.read(4096)
        if wide := _wide_encoding(start):
            return wide
        if _is_utf_8(start, file):
            return "utf-8"
    with open_bytes(path) as file:
        lines = [line for line in _lines(file) if not line.isascii()]
    if sum(_is_utf_8(line) for line in lines) * 2 >= len(lines):
        return "utf-8"
    return _find_old_encoding(b"".join(lines))


def _wide_encoding(start: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    # Without a mark the signs between cells tell: each has a zero byte behind or before it.
    pairs = Counter(zip(start[0::2], start[1::2], strict=False))
    counts = {
        "utf-16-le": sum(pairs[sign, 0] for sign in _WIDE_SIGNS),
        "utf-16-be": sum(pairs[0, sign] for sign in _WIDE_SIGNS),
    }
    likelier = max(counts, key=lambda name: counts[name])
    return likelier if counts[likelier] > max(1, 4 * min(counts.values())) else ""


def _is_utf_8(start: bytes, rest: BinaryIO | None = None) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(start, final=rest is None)
        while rest is not None and (block := rest.read(_BLOCK_BYTES)):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines up to the sample's size, those of ASCII alone not counted."""
    taken = 0
    while taken < _SAMPLE_BYTES and (line := file.readline(_SAMPLE_BYTES)):
        taken += 0 if line.isascii() else len(line)
        yield line


def _find_old_encoding(sample: bytes) -> str:
    found = from_bytes(sample, cp_isolation=list(OLD_ENCODINGS))
    least_chaos = min((match.chaos for match in found), default=0.0)
    # Which language the letters look like, 0 to 1, in tenths: finer differences are chance.
    coherence = {
        name: round(match.coherence, 1)
        for match in reversed(list(found))
        if match.chaos <= least_chaos + 0.05
        for name in (match.encoding, *match.could_be_from_charset)
    }
    ranked = [
        (_odd_places(sample.decode(name, errors="replace")), -coherence[name], place, name)
        for place, name in enumerate(OLD_ENCODINGS)
        if name in coherence
    ]
    return min(ranked)[-1] if ranked else _LIKELIEST


def _odd_places(text: str) -> int:
    """Counts capitals behind small letters and signs within words: marks of a wrong encoding."""
    odd = 0
    for left, here, right in zip(text, text[1:], text[2:], strict=False):
        if here.isascii():
            continue
        if here.isalpha():
            odd += here.isupper() and (left.islower() or right.islower() and left.isalpha())
        else:
            odd += not here.isspace() and left.isalpha() and right.isalpha()
            odd += here in "\ufffd\x80\x81\x8d\x8f\x90\x9d"
    return odd
