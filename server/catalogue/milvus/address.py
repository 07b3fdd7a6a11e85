"""Where a catalogue on Milvus lies, as the command line names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from twinshelf.server.catalogue.rows.schema import CatalogueFileError

# A path keeps one of two slashes.
_SERVER = re.compile(
    r"milvus://?(?P<host>[^/@?#]+:\d+)/(?P<name>[A-Za-z][A-Za-z0-9_]{0,99})"
    r"(\?replicas=(?P<replicas>[1-9][0-9]?))?"
)
_FILE = re.compile(r"milvus-lite:(?://)?(?P<path>/.+\.db)")
_LITE_NAME = "catalogue"


@dataclass(frozen=True, slots=True, kw_only=True)
class MilvusAddress:
    """A catalogue of a Milvus server, or of a local file of milvus-lite.

    Attributes:
        uri: What the client connects to.
        name: Name of the catalogue; all its collections begin with it.
        is_lite: Whether it is a file, which one process alone may open.
        replica_count: Copies of all rows in the memory of different query nodes.
    """

    uri: str
    name: str
    is_lite: bool
    replica_count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads an address; None for what is none.

        It is `milvus://host:port/name`, with `?replicas=2` for more than one copy in memory, or
        `milvus-lite:///path.db`.

        Raises:
            CatalogueFileError: If it begins like one of these, but cannot be read.
        """
        if not text.startswith(("milvus:", "milvus-lite:")):
            return None
        if found := _SERVER.fullmatch(text):
            return cls(
                uri=f"http://{found['host']}",
                name=found["name"],
                is_lite=False,
                replica_count=int(found["replicas"] or 1),
            )
        if found := _FILE.fullmatch(text):
            return cls(uri=found["path"], name=_LITE_NAME, is_lite=True)
        raise CatalogueFileError(
            "catalogue must be a folder, milvus://host:port/name, perhaps with ?replicas=2, or "
            f"milvus-lite:///path.db, got {text!r}"
        )
