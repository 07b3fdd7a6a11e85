"""Where a catalogue on Milvus lies, as the command line names it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl

from twinshelf.server.catalogue.rows.schema import CatalogueFileError

# A path keeps one of two slashes.
_SERVER = re.compile(
    r"milvus://?(?P<host>[^/@?#]+:\d+)/(?P<name>[A-Za-z][A-Za-z0-9_]{0,99})"
    r"(\?(?P<options>[^#]+))?"
)
_REPLICAS = re.compile(r"[1-9][0-9]?")
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
        ca_file: Certificates that the server's must descend from; None takes those of the system.
        token_file: File with `user:password`, or an API key; None where none is asked for.
    """

    uri: str
    name: str
    is_lite: bool
    replica_count: int = 1
    ca_file: Path | None = None
    token_file: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads an address; None for what is none.

        It is `milvus-lite:///path.db`, or `milvus://host:port/name`. After a `?`, joined by `&`,
        may follow `replicas=2` for more than one copy in memory, `tls=1` or `ca_file=PATH`, and
        `token_file=PATH`: what is secret stands in a file, since others may read a command line.

        Raises:
            CatalogueFileError: If it begins like one of these, but cannot be read.
        """
        if not text.startswith(("milvus:", "milvus-lite:")):
            return None
        if (found := _SERVER.fullmatch(text)) and (options := _options(found["options"])):
            has_tls = options.get("tls") == "1" or "ca_file" in options
            return cls(
                uri=f"{'https' if has_tls else 'http'}://{found['host']}",
                name=found["name"],
                is_lite=False,
                replica_count=int(options["replicas"]),
                ca_file=Path(options["ca_file"]) if "ca_file" in options else None,
                token_file=Path(options["token_file"]) if "token_file" in options else None,
            )
        if found := _FILE.fullmatch(text):
            return cls(uri=found["path"], name=_LITE_NAME, is_lite=True)
        raise CatalogueFileError(
            "catalogue must be a folder, milvus-lite:///path.db, or milvus://host:port/name, with "
            f"?replicas=2&tls=1&ca_file=PATH&token_file=PATH or some of these, got {text!r}"
        )


def _options(text: str | None) -> dict[str, str]:
    """Returns what was chosen, and the usual count of replicas; nothing when one is wrong."""
    try:
        given = dict(parse_qsl(text or "", strict_parsing=bool(text), keep_blank_values=True))
    except ValueError:
        return {}
    options = {"replicas": "1", **given}
    is_known = options.keys() <= {"replicas", "tls", "ca_file", "token_file"}
    is_right = _REPLICAS.fullmatch(options["replicas"]) and options.get("tls", "1") == "1"
    return options if is_known and is_right and all(options.values()) else {}
