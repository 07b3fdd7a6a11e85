"""The options of `twinshelf`: what several commands share, and how values are read.

Nothing heavy is imported before the command line is read: `--help` and a wrong value answer at
once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from twinshelf.client.channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT_S
from twinshelf.client.files.names.columns import Columns, read_column_mapping

if TYPE_CHECKING:
    from twinshelf.client.credentials import ClientTls
    from twinshelf.client.retries import RetryPolicy
    from twinshelf.client.sync_client import Client

ADDRESS_VARIABLE: Final = "TWINSHELF_ADDRESS"
API_KEY_VARIABLE: Final = "TWINSHELF_API_KEY"
FAILED, UNUSABLE_INPUT, INTERRUPTED = 1, 2, 130
# Of a row, or of a stream: a minute in all, in which Triton has started again.
ATTEMPTS_FOR_FILES: Final = 32
# The most that a message can hold; what the service allows is the service's to say.
GREATEST_COUNT: Final = 2**31 - 1
GREATEST_SEQUENCE: Final = 2**63 - 1
FILES_HELP: Final = (
    "CSV or other delimited text, JSON, JSON lines, XML or a table of a web page (each also .gz, "
    ".zst, .bz2, .xz or in a .zip), Parquet, Excel, OpenDocument, a folder of photos, or - for "
    "standard input"
)

EncoderOption = Annotated[
    str,
    typer.Option(
        "--encoder",
        metavar="VERSION|DIGEST",
        help="Encoder that is to answer, one kept beside, say (default: the one that serves).",
    ),
]


def read_encoder(text: str) -> int | str:
    """Reads the version of an encoder, or its digest.

    Raises:
        ValueError: If no version is as great.
    """
    if not text.isdecimal():
        return text
    if int(text[:20]) > GREATEST_SEQUENCE:
        raise ValueError(f"a version must be at most {GREATEST_SEQUENCE}, got {text}")
    return int(text)


def read_number(text: str) -> float:
    """Reads a number.

    Raises:
        typer.BadParameter: If the text is none.
    """
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"must be a number, got {text!r}") from None


def read_sequence(text: str) -> int:
    """Reads the number of a change; 0 stands before the first.

    Raises:
        typer.BadParameter: If the text is none.
    """
    if not text.isdecimal() or int(text[:20]) > GREATEST_SEQUENCE:
        raise typer.BadParameter(
            f"must be a whole number from 0 to {GREATEST_SEQUENCE}, got {text!r}"
        )
    return int(text)


def read_positive(text: str) -> float:
    """Reads a number above zero.

    Raises:
        typer.BadParameter: If the text is none.
    """
    value = read_number(text)
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"must be a number above zero, got {text!r}")
    return value


def read_positive_or_zero(text: str) -> float:
    """Reads a number of zero or more.

    Raises:
        typer.BadParameter: If the text is none.
    """
    value = read_number(text)
    if not 0 <= value < float("inf"):
        raise typer.BadParameter(f"must be a number of zero or more, got {text!r}")
    return value


def read_probability(text: str) -> float:
    """Reads a number from 0 to 1.

    Raises:
        typer.BadParameter: If the text is none.
    """
    value = read_number(text)
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"must be a number from 0 to 1, got {text!r}")
    return value


def read_path(text: str) -> Path:
    """Reads the path of a file or a folder; an empty one would be the current folder.

    Raises:
        typer.BadParameter: If the text is empty.
    """
    if not text:
        raise typer.BadParameter("must be a path, got an empty text")
    return Path(text)


def read_columns(text: str) -> Columns:
    """Reads which column holds which field, such as "title=name,images=3".

    Raises:
        typer.BadParameter: If the text is no such mapping.
    """
    try:
        return read_column_mapping(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _default_address() -> str:
    return os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How the service is reached; these options stand before or after the command."""

    address: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            default_factory=_default_address,
            show_default=False,
            help="Where the matching service is, or ipv4:HOST:PORT,HOST:PORT of several servers "
            f"[{ADDRESS_VARIABLE}; default: {DEFAULT_ADDRESS}].",
        ),
    ]
    timeout_s: Annotated[
        float,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            parser=read_positive,
            help="Longest wait for an answer, repeats included.",
        ),
    ] = DEFAULT_TIMEOUT_S
    json: JsonOption = False
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"File with the API key to show; without it, that in {API_KEY_VARIABLE}, if any.",
        ),
    ] = None
    tls: Annotated[
        bool, typer.Option("--tls", help="Speak TLS; the three files below mean it, too.")
    ] = False
    ca_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Authorities to trust, PEM (default: those that gRPC knows)."
        ),
    ] = None
    cert_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Certificate to show, PEM (mutual TLS)."),
    ] = None
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Private key of that certificate, PEM."),
    ] = None

    def client_tls(self) -> ClientTls | None:
        """Returns how to speak TLS; None speaks in clear.

        Raises:
            ValueError: If only one of certificate and key is given.
        """
        from twinshelf.client.credentials import ClientTls

        if not (self.tls or self.ca_file or self.cert_file or self.key_file):
            return None
        return ClientTls(ca_file=self.ca_file, cert_file=self.cert_file, key_file=self.key_file)

    def api_key(self) -> str | None:
        """Reads the API key to show; None shows none.

        Raises:
            ValueError: If its file cannot be read.
        """
        from twinshelf.client.credentials import read_api_key

        if self.api_key_file is not None:
            return read_api_key(self.api_key_file)
        return os.environ.get(API_KEY_VARIABLE, "").strip() or None  # secrets may end a line

    @contextmanager
    def open_for_files(self) -> Iterator[Client]:
        """Gives a client for files: a restart of the service, or of its Triton, does not end it.

        A service that is not there at all is told of at once, before a file is read.

        Raises:
            typer.Exit: As `open` does.
        """
        from twinshelf.client.retries import RetryPolicy

        with self.open() as client:
            client.stats()
        with self.open(RetryPolicy(attempt_count=ATTEMPTS_FOR_FILES)) as client:
            yield client

    @contextmanager
    def open(self, retry_policy: RetryPolicy | None = None) -> Iterator[Client]:
        """Gives a client; an error of the service is told in a sentence and ends the command.

        Args:
            retry_policy: How to repeat; None takes the client's own.

        Raises:
            typer.Exit: With status 1, if the service fails or refuses something; with 2, if that
                was no text that can be sent to it.
            ValueError: If a key or a file of TLS cannot be used.
        """
        # What gRPC logs of each attempt would hide the sentence. It looks once, when it is loaded.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        from twinshelf.client.commands.output import error_json, write_json
        from twinshelf.client.errors import NO_MESSAGE, TwinshelfError
        from twinshelf.client.sync_client import Client

        with Client(
            self.address,
            timeout_s=self.timeout_s,
            retry_policy=retry_policy,
            api_key=self.api_key(),
            tls=self.client_tls(),
        ) as client:
            try:
                yield client
            except TwinshelfError as error:
                if self.json:
                    write_json(sys.stdout, error_json(error))
                complain(f"{error.message} [{error.code.name}]")
                is_unusable = error.reason == NO_MESSAGE
                raise typer.Exit(UNUSABLE_INPUT if is_unusable else FAILED) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How files of products or offers are read."""

    columns: Annotated[
        Columns | None,
        typer.Option(
            parser=read_columns,
            metavar="FIELD=COLUMN,...",
            help="Which column, by name or number, holds which field, such as "
            "title=name,images=3; price= leaves a field out (default: by the usual names).",
        ),
    ] = None
    delimiter: Annotated[
        str, typer.Option(metavar="CHARACTER", help="Between cells (default: found).")
    ] = ""
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="Of the text, such as cp1252 (default: found).")
    ] = ""
    no_header: Annotated[
        bool, typer.Option("--no-header", help="The first row is data; columns are 1, 2, ...")
    ] = False
    image_root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where photos may lie, besides the folder of each file."
        ),
    ] = None
    fetch_images: Annotated[
        bool,
        typer.Option(
            "--fetch-images",
            help="Fetch photos that are URLs, from public addresses, and keep them.",
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """What `index` does with the products of files."""

    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Read all, store nothing: print what would happen and propose the columns.",
        ),
    ] = False
    restart: Annotated[
        bool, typer.Option("--restart", help="Do not go on where an earlier run stopped.")
    ] = False
    update: Annotated[
        str,
        typer.Option(
            metavar="FIELD,...",
            help="Change only these fields of products that are stored, such as "
            "price,attributes; empty cells leave what is stored.",
        ),
    ] = ""
    photos: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=16,
            help="Photos of a product at most, where the file has several; an offer is compared "
            "to each.",
        ),
    ] = 1
    reindex: Annotated[
        bool,
        typer.Option(
            "--reindex",
            help="Only send the photos again that a new encoder needs; change nothing else.",
        ),
    ] = False


def complain(message: str) -> None:
    """Says on standard error what went wrong, which may be in others' words."""
    from twinshelf.client.commands.output import printable

    sys.stderr.write(f"twinshelf: {printable(message)}\n")
