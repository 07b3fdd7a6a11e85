"""References to photos in a table, and the files that they may name."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote

from twinshelf.client.files.values.cell_values import (
    MOST_NESTED,
    bytes_of,
    nested_within,
    present_text_of,
    text_of,
)

# Far above what the service embeds (8 MiB unless told otherwise): that refuses it in words.
LARGEST_PHOTO_BYTES = 32 * 1024 * 1024
# A photo that is told from a path by its first bytes.
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
# Those of stores such as s3:// are kept as well, though nobody fetches them.
_URL = re.compile(r"(?:(?!file:)[a-z][a-z0-9+.-]+:)?//[^/\s]", re.IGNORECASE)
# In a web page, and in the cell of a table program: =IMAGE("https://...").
_IMG_SOURCE = re.compile(
    r"(?:<img\b[^<>]*?\ssrc\s*=\s*[\"']?|^=(?:image|hyperlink)\(\s*\")([^\"'\s<>]+)",
    re.IGNORECASE,
)
_LINK = re.compile(r"<a\b[^<>]*?\shref\s*=\s*[\"']?([^\"'\s<>]+)", re.IGNORECASE)
# In Markdown: ![a mug](https://...).
_IN_MARKDOWN = re.compile(r"\[[^\[\]]*\]\(([^\s()]+)")
_NEXT_URL = re.compile(
    r"(?<![\s;,|~^#\":>])(?:[\s;,|~^#\"]|</?br */?>|::)+(?=(?:[a-z][a-z0-9+.-]+:)?//)",
    re.IGNORECASE,
)
# Airtable writes "mug.jpg (https://...)".
_NAMED_URL = re.compile(r"(?:^|(?<=,))[^,()]* \((https?://[^\s()]+)\)", re.IGNORECASE)
_MOST_FOLDERS = 8
_ABSOLUTE = re.compile(r"/|[a-z]:/", re.IGNORECASE)
_FILE_HOST = re.compile("^file://[^/]*", re.IGNORECASE)
# A few bytes of Parquet may spell a list of millions.
_MOST_ITEMS = 10_000
_DATA_URI = re.compile(r"^data:image/[\w.+-]+;base64,", re.IGNORECASE)
# How those bytes begin when they are written out, as databases of shops do.
_BASE64_MAGIC = ("/9j/", "iVBORw0KGgo", "UklGR", "R0lGOD")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}+={0,2}")
# What Taobao writes before the address of each photo: "0a1b2c:1:0:|https://...".
_TAOBAO = re.compile(r"[0-9a-f]+:\d+:\d+:\|?(?=(?:https?:)?//|$)", re.IGNORECASE)
# How databases write bytes out: "\\xffd8ff" of PostgreSQL, "0x89504e47" of others.
_HEX_PHOTO = re.compile(r"(?:\\x|0x)((?:ffd8ff|89504e47|52494646)[0-9a-f]+)", re.IGNORECASE)
_LINES = r"[;\n]"
_PHOTO_NAME = re.compile(
    r"\.(?:jpe?g|jfif|png|webp|gif|bmp|tiff?|avif)(?:[?#][^\s]*)?$", re.IGNORECASE
)
# What GraphQL lays around each thing of a list.
_LIST_KEYS = ("edges", "nodes", "node", "items", "data", "attributes", "media", "images")
# What a list of media may hold besides photos, by what it says of itself.
_OTHER_MEDIA = re.compile(r"(?:application|audio|text|video)(?:/.*)?|\w+_video", re.IGNORECASE)
_URL_KEYS = ("src", "url", "path", "href", "link", "image", "large", "big", "hi_res")


class LinkedText(str):
    """The text of a cell behind which an address lies.

    Attributes:
        link: The address.
    """

    __slots__ = ("link",)

    link: str

    def __new__(cls, text: str, link: str) -> LinkedText:
        """Makes the text."""
        linked = super().__new__(cls, text)
        linked.link = link
        return linked


class PhotoError(ValueError):
    """A photo that cannot be read; the message says why, the row stands without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoReference:
    """One photo of a row.

    Attributes:
        name: Path or URL as the table gives it; empty when the photo has only bytes.
        data: The photo's bytes, when they stand in the table itself.
    """

    name: str = ""
    data: bytes = field(default=b"", repr=False)

    @property
    def is_url(self) -> bool:
        """Whether the photo lies on a web server."""
        return not self.data and _URL.match(self.name) is not None


def photos_of(cell: object, depth: int = MOST_NESTED) -> list[PhotoReference]:
    """Reads the photos of a cell, the main one first.

    They may be bytes, objects with bytes and a path (as the library `datasets` writes them), paths,
    URLs or data URIs; several as a list, a JSON list, or parted by ";", ",", "|" or line ends.

    Args:
        cell: The cell.
        depth: How deep photos may be nested in it.

    Raises:
        PhotoError: If it holds anything else.
    """
    if isinstance(cell, (Mapping, list, tuple)) and not depth:
        raise PhotoError(f"images must be nested {MOST_NESTED} deep at most")
    if isinstance(cell, (bytes, bytearray)):
        data = bytes(cell)
        if data.startswith(_MAGIC) or b"\0" in data[:64]:
            return [PhotoReference(data=data)]
        return photos_of(text_of(data), depth)
    if isinstance(cell, Mapping):
        return _photos_of_object(cell, depth - 1)
    if isinstance(cell, (list, tuple)):
        if len(cell) > _MOST_ITEMS:
            raise PhotoError(f"images must be {_MOST_ITEMS:,} at most, got {len(cell):,}")
        return [photo for item in cell for photo in photos_of(item, depth - 1)]
    if isinstance(cell, str) and (data := bytes_of(cell.strip())):
        return photos_of(data, depth)
    if isinstance(cell, LinkedText) and not _URL.match(cell):
        is_better = ends_like_photo(cell.link) or not ends_like_photo(cell)
        cell = cell.link if is_better else cell
    return _photos_of_text(present_text_of(cell), depth)


def _photos_of_text(text: str, depth: int) -> list[PhotoReference]:
    if text in ("", "[]", "{}"):
        return []
    if (items := nested_within(text)) is not None:
        return photos_of(items, depth - 1)
    written = (_IMG_SOURCE, _LINK, _IN_MARKDOWN)
    if sources := next(filter(None, (each.findall(text) for each in written)), None):
        return photos_of(sources, depth)
    text = text.replace("\\/", "/")  # as JSON spells it
    coded = _DATA_URI.sub("", text, count=1)
    if coded != text or (text.startswith(_BASE64_MAGIC) and _BASE64.fullmatch(text)):
        return [PhotoReference(data=_decoded(coded))]
    if (data := _HEX_PHOTO.fullmatch(text)) and len(data[1]) % 2 == 0:
        return [PhotoReference(data=bytes.fromhex(data[1]))]
    if "\0" in text:
        raise PhotoError("images must be paths; one holds a zero byte")
    return [PhotoReference(name=name) for name in _names_within(text)]


def _photos_of_object(cell: Mapping[object, object], depth: int) -> list[PhotoReference]:
    data = cell.get("bytes")
    if isinstance(data, (bytes, bytearray)) and data:
        return [PhotoReference(name=text_of(cell.get("path")), data=bytes(data))]
    kinds = (value for key, value in cell.items() if str(key).casefold().endswith("type"))
    if any(isinstance(kind, str) and _OTHER_MEDIA.fullmatch(kind) for kind in kinds):
        return []
    for key in (*_URL_KEYS, *_LIST_KEYS):
        if cell.get(key):
            return photos_of(cell[key], depth)
    within = {str(key): value for key, value in cell.items() if value is not None}
    named = {k: v for k, v in within.items() if isinstance(v, str) and looks_like_photo(v)}
    if len(named) == len(within):
        return photos_of(list(named.values()), depth)
    if named:  # one photo in several sizes, with its place or its text
        largest = max(named.items(), key=lambda item: "large" in item[0].casefold())
        return photos_of(largest[1], depth)
    parts = [value for value in within.values() if isinstance(value, (Mapping, list))]
    if parts and len(parts) == len(within):  # {"main": {"url": …}, "i": [{"url": …}]}
        return photos_of(parts, depth)
    raise PhotoError(f"images must be bytes, paths or URLs, got an object with {', '.join(within)}")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError as error:
        raise PhotoError(f"images must be paths; one is no base64: {error}") from None


def looks_like_photo(name: str) -> bool:
    """Whether a name is a URL or ends like a photo's."""
    return _URL.match(name) is not None or ends_like_photo(name)


def ends_like_photo(name: str) -> bool:
    """Whether a name ends like a photo's, that of a page does not."""
    return _PHOTO_NAME.search(name) is not None


def _names_within(text: str) -> list[str]:
    """Parts names; names may hold a delimiter, so each part must look like a photo then."""
    if text[0] + text[-1] in ("[]", "{}"):  # a list whose texts have no quotes
        text = text[1:-1]
    text = _NAMED_URL.sub(r"\1", text) if " (" in text else text
    names = [part.strip() for part in _NEXT_URL.split(text)]
    for delimiter in (_LINES, "|", ",", " "):
        names = [part for name in names for part in _parted(name, delimiter)]
    return [name for part in names if (name := _TAOBAO.sub("", part).rstrip(",;|~^").strip("\"'"))]


def _parted(name: str, delimiter: str) -> list[str]:
    if _URL.match(name):
        return [name]
    pieces = re.split(_LINES, name) if delimiter == _LINES else name.split(delimiter)
    parts = [part for piece in pieces if (part := piece.strip())]
    is_sure = delimiter == _LINES or all(map(looks_like_photo, parts))
    return parts if is_sure else [name]


class PhotoFiles:
    """The photo files that a table may name: regular ones below a few folders, and no others."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Names the folders.

        Args:
            folders: Relative names start from the first in which there is such a file.
        """
        self._folders = tuple(dict.fromkeys(folders))
        self._resolved = [folder.resolve() for folder in self._folders]

    def find(self, name: str) -> Path:
        """Finds a photo's file.

        Args:
            name: Path as the table gives it, relative to one of the folders or absolute.

        Raises:
            PhotoError: If it is missing, no regular file, empty, too large, or outside the folders.
        """
        if name.lower().startswith("file://"):
            name = unquote(_FILE_HOST.sub("", name))
        name = name.replace("\\", "/")
        # A shop names photos from its own root, or as in a URL; a Mac spells "ü" with two signs.
        names = dict.fromkeys(
            spelled
            for each in (name, name.lstrip("/"), unquote(name), *_tails(name))
            for spelled in (each, normalize("NFC", each), normalize("NFD", each))
        )
        paths = [folder / each for each in names for folder in self._folders]
        try:
            path = next((path for path in paths if path.exists()), self._folders[0] / name)
            resolved = path.resolve(strict=True)
            if not any(resolved.is_relative_to(folder) for folder in self._resolved):
                raise PhotoError(
                    f"the photo {path} lies outside the table's folder; --image-root allows another"
                )
            _require_photo(path, resolved.stat())
        except (FileNotFoundError, NotADirectoryError):
            raise PhotoError(f"there is no photo {path}") from None
        except PhotoError:
            raise
        except (OSError, RuntimeError, ValueError) as error:  # a name may hold any sign
            raise PhotoError(f"the photo {name[:80]!r} cannot be read: {error}") from None
        if not os.access(path, os.R_OK):
            raise PhotoError(f"the photo {path} cannot be read: permission denied")
        return path


def _tails(name: str) -> Iterator[str]:
    """What an absolute path, of whatever machine, may be called from one of its folders."""
    if _ABSOLUTE.match(name):
        parts = [part for part in name.split("/") if part][-_MOST_FOLDERS:]
        for start in range(len(parts)):
            yield "/".join(parts[start:])


def read_photo(path: Path) -> bytes:
    """Reads a photo's file.

    Args:
        path: The file.

    Raises:
        PhotoError: If it is missing, no regular file, unreadable, empty or too large.
    """
    try:
        # Without O_NONBLOCK a pipe that was put there would be waited for.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as f:
            _require_photo(path, os.fstat(f.fileno()))
            return f.read(LARGEST_PHOTO_BYTES)
    except FileNotFoundError:
        raise PhotoError(f"there is no photo {path}") from None
    except OSError as error:
        raise PhotoError(f"the photo {path} cannot be read: {error.strerror}") from None


def _require_photo(path: Path, state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise PhotoError(f"the photo {path} is no regular file")
    if state.st_size == 0:
        raise PhotoError(f"the photo {path} is empty")
    if state.st_size > LARGEST_PHOTO_BYTES:
        limit_mib = LARGEST_PHOTO_BYTES // (1024 * 1024)
        raise PhotoError(f"the photo {path} is larger than {limit_mib} MiB")
