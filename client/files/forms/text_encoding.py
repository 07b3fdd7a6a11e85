"""The encoding of a text table, found from its bytes, and the letters that it spoils, mended."""

from __future__ import annotations

import codecs
import functools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import chardet

from twinshelf.client.files.forms.stored_bytes import open_bytes
from twinshelf.client.files.rows import ProductFileError

# The encodings that product tables are written in besides Unicode's; of those that give the same
# letters the first is named. Those that hold others stand for them: cp932 for Shift-JIS, gb18030
# for GBK, cp949 for EUC-KR.
OLD_ENCODINGS = tuple(
    """cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp874 iso8859-2
    iso8859-5 iso8859-7 iso8859-9 iso8859-15 mac-roman mac-latin2 mac-cyrillic koi8-r
    koi8-u cp850 cp852 cp866 cp932 euc_jis_2004 iso2022_jp_2 gb18030 big5hkscs cp949""".split()
)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNS = '\n\r,;\t|#"'
# How Japanese texts in seven bits leave ASCII.
_ESCAPE = b"\x1b$"
_BLOCK_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 18
# An encoding whose likelihood is this share of the best is a rival; where few characters tell
# them apart, the smaller share.
_RIVAL_SHARE, _RIVAL_SHARE_OF_FEW = 0.85, 0.5
_FEW_CHARACTERS = 10
_USUAL_OLD = "cp1252"
# Of few letters it tells as well how many files are written so.
_PRIOR_OF_FEW = {"cp1252": 1.25, "cp1257": 1.25, "mac-cyrillic": 0.7}
# Turkish has its letters where cp1252 has these of Iceland, which has the others besides.
_TURKISH_OR_ICELANDIC, _ICELANDIC = frozenset("ðýþÐÝÞ"), frozenset("áíóúæÁÍÓÚÆ")
# Beside those of Turkish alone no word has others than Turkish has: Czech "bílý" is no "bílı".
_TURKISH_ALONE, _TURKISH = frozenset("ıİğĞ"), frozenset("ıİğĞşŞçÇöÖüÜâÂîÎûÛéÉ")
# Its signs, which English texts hold besides ASCII, those that no word begins with, and those of
# numbers alone.
_SIGNS_OF_TEXTS, _SIGNS_AT_ENDS, _SIGNS_OF_NUMBERS = "’‘“”–—•°×€", "…™®©²", "£½¼¾"
# Those of measures and ordinals, which Unicode takes for letters or for signs of mathematics.
_SIGN_IN_PLACE = re.compile(
    r"[0-9 ]µ[FAVWHLlmgs]|[0-9Nn][ºª][^A-Za-z]|[0-9 ]º[CF]|[^A-Za-z][Ø§][^A-Za-z]"
    r"|[^A-Za-z][±¥][0-9 ]|[0-9]÷[0-9]|[0-9]¢[^A-Za-z]"
)
# Two letters beyond ASCII side by side; one that stands alone.
_OLD_WORD = re.compile(r"(?:[^\W\d_](?<=[^\x00-\x7f])){2}")
_LONE_LETTER = re.compile(r"(?<![^\W\d_])[^\W\d_](?<=[^\x00-\x7f])(?![^\W\d_])")
_ALPHABETS = ("CYRILLIC", "GREEK SMALL", "HEBREW", "ARABIC", "THAI")
# What the sign of a diameter is elsewhere; signs of cp1252 that are letters there, "Ksi¹¿ka".
_DIAMETERS_ELSEWHERE = "ŘŲ"
_LETTERS_OF_OTHERS = "¿¡±¹³¯£¥ª¼¾"
_RIVALS_NAMED = 3
# What declares one of these means the wider one, as browsers know.
_WIDER = {
    "iso8859-1": "cp1252",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
}
_DECLARED_WITHIN_BYTES = 4096
# How the first bytes of Latin letters and of quotes look in cp1252.
_READ_WRONGLY = ("Ã", "Â", "â€")
_LAST_ASCII = "\x7f"
# Bytes that a text in UTF-8 cannot hold become these lone surrogates and are mended cell by cell.
_FIRST_BROKEN, _LAST_BROKEN = "\udc80", "\udcff"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEncoding:
    """What a text seems to be written in.

    Attributes:
        name: Python's name of the encoding.
        rivals: Others that are nearly as likely and give other letters, the likeliest three.
        of_broken: What the lines are read as that are no UTF-8, in a file that else is; empty where
            all lines are.
    """

    name: str
    rivals: tuple[str, ...] = ()
    of_broken: str = ""


def find_encoding(path: Path, given: str = "") -> FoundEncoding:
    """Finds the encoding of a text file.

    A byte order mark decides, then zero bytes (UTF-16 and UTF-32), then whether the text is UTF-8;
    what is none of these is an old encoding, chosen by how much its letters look like a language.
    A file most of whose non-ASCII lines are UTF-8 is UTF-8 with a few broken cells.

    Args:
        path: The file; may be compressed.
        given: What the user says that it is; empty to find it.

    Raises:
        ProductFileError: If the file cannot be read, is no text, or most of its lines with letters
            beyond ASCII are not in the encoding that was given.
    """
    if given:
        return FoundEncoding(name=given, of_broken=_require_encoding(path, given))
    state = path.stat()
    found = _find_encoding(path.absolute(), state.st_size, state.st_mtime_ns)
    if not found.name:
        raise ProductFileError(f"{path} is no text, and no table of a kind that is read")
    return found


def find_declared_encoding(
    path: Path, declaration: re.Pattern[bytes], given: str = ""
) -> FoundEncoding:
    """Finds the encoding of a text that declares one: that which is declared, where it is old.

    Whether a text is Unicode's is seen in its bytes, whatever it says.

    Args:
        path: The file; may be compressed.
        declaration: Finds the declaration in the first bytes; its group is the name.
        given: What the user says that it is; empty to find it.

    Raises:
        ProductFileError: As `find_encoding`.
    """
    found = find_encoding(path, given)
    with open_bytes(path) as file:
        declared = declaration.search(file.read(_DECLARED_WITHIN_BYTES))
    if given or found.name.startswith("utf") or declared is None:
        return found
    try:
        name = codecs.lookup(declared[1].decode()).name
    except LookupError:
        return found
    return found if name.startswith("utf") else FoundEncoding(name=_WIDER.get(name, name))


def errors_of(encoding: FoundEncoding) -> str:
    """Returns Python's name for how the bytes are read that are not in an encoding."""
    if not encoding.of_broken:
        return "replace"
    name = f"twinshelf.{encoding.of_broken}"
    codecs.register_error(name, functools.partial(_read_as, encoding.of_broken))
    return name


def _read_as(encoding: str, error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode(encoding, errors="replace"), error.end


def _require_encoding(path: Path, given: str) -> str:
    """Refuses an encoding that most lines are not in; returns what the others are read as."""
    if codecs.lookup(given).name.startswith(("utf-16", "utf-32")):
        return ""
    broken: list[int] = []
    line_count = 0
    with open_bytes(path) as file:
        for number, line in enumerate(_lines(file), start=1):
            if line.isascii():
                continue
            line_count += 1
            try:
                line.decode(given)
            except UnicodeError:
                broken.append(number)
    if len(broken) * 2 > line_count:
        raise ProductFileError(
            f"{path} is not in {given}: line {broken[0]} holds other bytes; without --encoding its "
            "encoding is found"
        )
    return _USUAL_OLD if broken else ""


def mended(cell: str, of_broken: str = "") -> str:
    """Undoes what other programs did to a cell's letters.

    Bytes that are no UTF-8, in a file that else is, are read as another encoding. What was UTF-8,
    read as cp1252 and written so, such as "MÃ¼ller", is read as UTF-8.

    Args:
        cell: The cell.
        of_broken: The other encoding; see `FoundEncoding`.
    """
    if cell.isascii():
        return cell
    cell = cell.replace("\ufeff", "")  # the mark of a file that was joined to another
    if any(_FIRST_BROKEN <= letter <= _LAST_BROKEN for letter in cell):
        return cell.encode("utf-8", "surrogateescape").decode(
            of_broken or _USUAL_OLD, errors="replace"
        )
    if any(mark in cell for mark in _READ_WRONGLY):
        try:
            return cell.encode("cp1252").decode("utf-8")
        except UnicodeError:
            return cell
    return cell


@functools.lru_cache(maxsize=64)
def _find_encoding(path: Path, byte_count: int, written_ns: int) -> FoundEncoding:
    with open_bytes(path) as file:
        start = file.read(4096)
        if wide := _wide_encoding(start):
            return FoundEncoding(name=wide)
        if _is_utf_8(start, file):
            return FoundEncoding(name="utf-8")
    with open_bytes(path) as file:
        lines = [line for line in _lines(file) if not _is_ascii(line)]
    # A feed may stand on one line: what is between tags or quotes is a text of its own.
    texts = [text for line in lines for text in re.split(rb'[<>"]', line) if not _is_ascii(text)]
    broken = [text for text in texts if not _is_utf_8(text)]
    if len(broken) * 2 > len(texts):
        return _find_old_encoding(b"".join(lines))
    # The letters of a word or two tell too little.
    letter_count = sum(byte > 127 for line in broken for byte in line)
    is_told = letter_count >= _FEW_CHARACTERS
    old = _find_old_encoding(b"".join(broken)).name if is_told else _USUAL_OLD
    return FoundEncoding(name="utf-8", of_broken=old)


def _wide_encoding(start: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    # Without a mark the signs between cells tell: each has zero bytes behind or before it. A half
    # of one in UTF-32 looks like one in UTF-16, so that the longer are counted first.
    for names in (("utf-32-le", "utf-32-be"), ("utf-16-le", "utf-16-be")):
        counts = {name: _count_signs(start, name) for name in names}
        likelier = max(counts, key=lambda name: counts[name])
        if counts[likelier] > max(1, 4 * min(counts.values())) and _is_written(start, likelier):
            return likelier
    return ""


def _is_written(start: bytes, encoding: str) -> bool:
    """Whether bytes may be in an encoding, and not a text whose cells are filled up with zeros."""
    width = len(" ".encode(encoding))
    try:
        text = start[: len(start) // width * width].decode(encoding, "surrogatepass")
    except UnicodeError:
        return False
    return "\0" not in text


def _count_signs(start: bytes, encoding: str) -> int:
    signs = frozenset(sign.encode(encoding) for sign in _SIGNS)
    width = len(next(iter(signs)))
    return sum(start[place : place + width] in signs for place in range(0, len(start), width))


def _is_ascii(data: bytes) -> bool:
    return data.isascii() and _ESCAPE not in data


def _is_utf_8(start: bytes, rest: BinaryIO | None = None) -> bool:
    """Whether all is UTF-8, and not seven bits that stand for Japanese."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    block = start
    try:
        while block:
            decoder.decode(block)
            if _ESCAPE in block:
                return False
            block = b"" if rest is None else rest.read(_BLOCK_BYTES)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines up to the sample's size, those of ASCII alone not counted."""
    taken = 0
    while taken < _SAMPLE_BYTES and (line := file.readline(_SAMPLE_BYTES)):
        taken += 0 if _is_ascii(line) else len(line)
        yield line


def _find_old_encoding(sample: bytes) -> FoundEncoding:
    found = chardet.detect_all(
        sample,
        ignore_threshold=True,
        max_bytes=len(sample),
        compat_names=False,
        include_encodings=OLD_ENCODINGS,
    )
    if found[0]["encoding"] is None:
        return FoundEncoding(name="")
    if _has_signs_alone(sample.decode(_USUAL_OLD, errors="replace")):
        return FoundEncoding(name=_USUAL_OLD)
    is_few = sum(byte > 127 for byte in sample) < _FEW_CHARACTERS
    rival_share = _RIVAL_SHARE_OF_FEW if is_few else _RIVAL_SHARE
    likelihoods: dict[str, float] = {}  # of each text, the likelier first
    names: dict[str, str] = {}
    for each in found:  # the library's likeliest first
        if each["confidence"] < rival_share * max(likelihoods.values(), default=0.0):
            break
        name = str(each["encoding"])
        text = sample.decode(name, errors="replace")
        # The library knows the languages; that words are whole is seen better in the text, where
        # one sign out of place tells more than many letters.
        likelihood = each["confidence"] * _share_in_place(text) ** 3
        likelihoods[text] = max(likelihood, likelihoods.get(text, 0.0))
        names[text] = min(name, names.get(text, name), key=OLD_ENCODINGS.index)
    priors = _PRIOR_OF_FEW if is_few else {}
    best, *others = sorted(likelihoods, key=lambda t: -likelihoods[t] * priors.get(names[t], 1))
    if names[best] == _USUAL_OLD and _is_turkish(best):
        return FoundEncoding(name="cp1254", rivals=(_USUAL_OLD,))
    least = rival_share * likelihoods[best]
    rivals = [names[text] for text in others if likelihoods[text] >= least]
    return FoundEncoding(name=names[best], rivals=tuple(rivals[:_RIVALS_NAMED]))


def _is_turkish(text: str) -> bool:
    """Whether a text in cp1252 is one in cp1254: several of the letters, and none but these."""
    letters = {*text}
    return len(letters & _TURKISH_OR_ICELANDIC) > 1 and not letters & _ICELANDIC


def _has_signs_alone(text: str) -> bool:
    """Whether signs are all that is beyond ASCII, each beside ASCII, as in "Men’s coat ½ price".

    Of so little the library makes rare letters: "Menís".
    """
    if text.isascii():
        return False
    if text.count("«") == text.count("»"):
        text = text.replace("«", '"').replace("»", '"')
    triples = zip(" " + text, text, text[1:] + " ", strict=False)
    return all(_is_usual_sign(*triple) for triple in triples if not triple[1].isascii())


def _is_usual_sign(left: str, here: str, right: str) -> bool:
    if not (left.isascii() and right.isascii() and _is_in_place(left, here, right)):
        return False
    if here in _SIGNS_OF_TEXTS or _SIGN_IN_PLACE.fullmatch(left + here + right):
        return True
    if right.isalpha():
        return False
    return here in _SIGNS_AT_ENDS or here in _SIGNS_OF_NUMBERS and not left.isalpha()


def _share_in_place(text: str) -> float:
    """The share of the characters beyond ASCII, 0 to 1, that stand where a language has them."""
    triples = zip(" " + text, text, text[1:] + " ", strict=False)
    in_place = [_is_in_place(*triple) for triple in triples if not triple[1].isascii()]
    if not _OLD_WORD.search(text):  # among Latin words, "а" of Cyrillic is the "à" of others
        lone = _LONE_LETTER.findall(text)
        if any(unicodedata.name(each, "").startswith(_ALPHABETS) for each in lone):
            in_place += [False] * len(in_place)
    if not _TURKISH_ALONE.isdisjoint(text):
        in_place += [
            False for each in text if each > _LAST_ASCII and each.isalpha() and each not in _TURKISH
        ]
    return sum(in_place) / max(1, len(in_place))


def _is_in_place(left: str, here: str, right: str) -> bool:
    """No capital behind a small letter, no sign within a word, no word of two scripts."""
    if _SIGN_IN_PLACE.fullmatch(left + here + right):
        return True
    if here in _DIAMETERS_ELSEWHERE and not left.isalpha() and right in " 0123456789":
        return False
    if here.isalpha():
        if here.isupper() and (left.islower() or left.isalpha() and right.islower()):
            return False
        meets_ascii = any(each.isascii() and each.isalpha() for each in (left, right))
        return not meets_ascii or unicodedata.name(here, "").startswith("LATIN")
    category = unicodedata.category(here)
    if here == "’":  # as in "men’s"
        return True
    if here in _SIGNS_AT_ENDS:
        return not right.isalpha()
    if here == "\ufffd" or category in ("Cc", "Cn", "Co") or category == "Sm" and right.isalpha():
        return False
    is_within = left.isalpha() and (right.isalpha() or right in _LETTERS_OF_OTHERS)
    return category.startswith("M") or here.isspace() or not is_within
