"""The command line of `twinshelf`: its subcommands, options and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from client.channel import DEFAULT_ADDRESS, DEFAULT_TIMEOUT_S
from client.doctor import add_doctor_command
from client.keys_options import add_keys_command
from client.product_file import read_column_mapping
from client.records import ModalityWeights

ADDRESS_VARIABLE = "TWINSHELF_ADDRESS"
API_KEY_VARIABLE = "TWINSHELF_API_KEY"
EPILOG = """\
exit status: 0 done; 1 the service failed or refused something; 2 the input cannot be used;
130 stopped by Ctrl-C"""


def build_parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """Builds the command line.

    Args:
        environment: Environment variables; TWINSHELF_ADDRESS changes the default address,
            TWINSHELF_API_KEY is the key that is shown, TWINSHELF_KEYS names the key file.
    """
    address = environment.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS
    parser = argparse.ArgumentParser(
        prog="twinshelf",
        description="Matches offers to the products of a catalogue, and keeps that catalogue.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[_shared_options(address)],
    )
    parser.set_defaults(
        address=address,
        timeout_s=DEFAULT_TIMEOUT_S,
        json=False,
        api_key=environment.get(API_KEY_VARIABLE) or None,
        api_key_file=None,
        tls=False,
        ca_file=None,
        cert_file=None,
        key_file=None,
    )
    # Not the parser's own: argparse would give the commands its defaults, and they would win.
    shared = _shared_options(address)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_index(commands, shared)
    _add_match(commands, shared)
    _add_catalogue_commands(commands, shared)
    add_keys_command(commands, environment)
    add_doctor_command(commands, shared)
    return parser


def _shared_options(address: str) -> argparse.ArgumentParser:
    """The options that stand before or after the command."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument(
        "--address",
        metavar="HOST:PORT",
        help=f"where the matching service is [{ADDRESS_VARIABLE}; default: {address}]",
    )
    shared.add_argument(
        "--timeout",
        dest="timeout_s",
        type=_positive,
        metavar="SECONDS",
        help=f"longest wait for an answer, repeats included (default: {DEFAULT_TIMEOUT_S:g})",
    )
    shared.add_argument("--json", action="store_true", help="print JSON, one object a line")
    _add_credentials(shared)
    return shared


def _add_credentials(shared: argparse.ArgumentParser) -> None:
    shared.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help=f"file with the API key to show; without it, that in {API_KEY_VARIABLE}, if any",
    )
    shared.add_argument(
        "--tls", action="store_true", help="speak TLS; the three files below mean it, too"
    )
    shared.add_argument(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help="authorities to trust, PEM (default: those that gRPC knows)",
    )
    shared.add_argument(
        "--cert-file", type=Path, metavar="FILE", help="certificate to show, PEM (mutual TLS)"
    )
    shared.add_argument(
        "--key-file", type=Path, metavar="FILE", help="private key of that certificate, PEM"
    )


def _add_index(commands: argparse._SubParsersAction, shared: argparse.ArgumentParser) -> None:
    index = commands.add_parser(
        "index",
        parents=[shared],
        help="store the products of a CSV, TSV or Parquet file",
        description="Stores the products of a file; one that is there already is replaced. Rows "
        "that fail are listed with their number and reason, and do not stop the others.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    index.add_argument("file", type=Path, metavar="FILE")
    index.add_argument(
        "--columns",
        type=_columns,
        default={},
        metavar="FIELD=COLUMN,...",
        help="which column holds which field, such as title=name,images=photo",
    )


def _add_match(commands: argparse._SubParsersAction, shared: argparse.ArgumentParser) -> None:
    match = commands.add_parser(
        "match", parents=[shared], help="find the products that a photo or a text shows"
    )
    match.add_argument("--image", type=Path, metavar="FILE", help="photo: JPEG, PNG or WebP")
    for field in ("title", "description", "category", "brand"):
        match.add_argument(f"--{field}", default="", metavar="TEXT")
    match.add_argument(
        "--attribute", action="append", default=[], type=_attribute, metavar="NAME=VALUE"
    )
    match.add_argument(
        "-k", "--match-count", type=_count, default=5, metavar="N", help="matches (default: 5)"
    )
    match.add_argument(
        "--weights",
        type=read_weights,
        metavar="image=.7,text=.3",
        help="how much photo and text count (default: as fitted in training)",
    )
    match.add_argument(
        "--min-probability",
        type=_probability,
        default=0.0,
        metavar="P",
        help="only matches of at least this probability, 0 to 1",
    )


def _add_catalogue_commands(
    commands: argparse._SubParsersAction, shared: argparse.ArgumentParser
) -> None:
    get = commands.add_parser("get", parents=[shared], help="print one product")
    get.add_argument("product_id", metavar="PRODUCT_ID")
    listing = commands.add_parser("list", parents=[shared], help="print products, by their ids")
    listing.add_argument(
        "--limit", type=_count, default=50, metavar="N", help="products at most (default: 50)"
    )
    listing.add_argument("--all", action="store_true", help="print all of them")
    delete = commands.add_parser("delete", parents=[shared], help="remove products for good")
    delete.add_argument("product_ids", nargs="+", metavar="PRODUCT_ID")
    commands.add_parser("stats", parents=[shared], help="count products and name the encoder")


def read_weights(text: str) -> ModalityWeights:
    """Reads weights such as "image=.7,text=.3"; one that is left out is zero.

    Args:
        text: What the user typed.

    Raises:
        argparse.ArgumentTypeError: If the text is no such pair.
    """
    weights: dict[str, float] = {}
    try:
        for part in text.split(","):
            name, _, value = part.partition("=")
            if name.strip() not in ("image", "text") or name.strip() in weights:
                raise ValueError(f"weights must look like image=.7,text=.3, got {text!r}")
            weights[name.strip()] = float(value)
        return ModalityWeights(**weights)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _columns(text: str) -> dict[str, str]:
    try:
        return read_column_mapping(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _attribute(text: str) -> tuple[str, str]:
    name, equals, value = (piece.strip() for piece in text.partition("="))
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"must look like colour=red, got {text!r}")
    return name, value


def _count(text: str) -> int:
    # What the service allows is the service's to say; this only keeps to what a message can hold.
    if text.isdecimal() and 1 <= int(text) < 2**31:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, got {text!r}")


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above zero, got {text!r}")
    return value


def _probability(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, got {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
