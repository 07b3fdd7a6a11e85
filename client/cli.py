"""The command `twinshelf`: indexes files, matches offers, looks into the catalogue.

twinshelf index products.csv
twinshelf match --image photo.jpg --title "Arabica coffee beans 1 kg" -k 5
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TextIO

from client import output
from client.api_keys import ApiKeyError
from client.credentials import ClientTls, read_api_key
from client.doctor import plan_from, run_doctor
from client.errors import TwinshelfError
from client.index_command import IndexReport, index_file, print_report, write_report
from client.keys_command import run_keys
from client.options import build_parser
from client.product_cells import read_photo
from client.product_file import ProductFile, ProductFileError
from client.records import MatchOptions, Offer
from client.sync_client import TwinshelfClient

DONE, FAILED, UNUSABLE_INPUT, INTERRUPTED = 0, 1, 2, 130
DELETED_AT_A_TIME = 10_000


class _UnusableInputError(Exception):
    """What the user gave cannot be used; the message says what was expected."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status.

    Args:
        arguments: The command line without the program's name; None takes that of the process.

    Raises:
        SystemExit: If the command line is wrong (2) or asks for help (0), as argparse does.
    """
    options = build_parser(os.environ).parse_args(arguments)
    try:
        if options.command == "keys":
            run_keys(options, sys.stdout)
            return DONE
        with _make_client(options) as client:
            return _COMMANDS[options.command](client, options, sys.stdout)
    except TwinshelfError as error:
        if options.json:
            output.write_json(sys.stdout, output.error_json(error))
        return _complain(_sentence(error), FAILED)
    # ValueError: a value that no message can hold, such as text that is no Unicode.
    except (_UnusableInputError, ProductFileError, ApiKeyError, ValueError) as error:
        return _complain(str(error), UNUSABLE_INPUT)
    except KeyboardInterrupt:
        return _complain("stopped", INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone (`twinshelf list | head`): what it wanted is done. Python would
        # complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _make_client(options: argparse.Namespace) -> TwinshelfClient:
    return TwinshelfClient(
        options.address,
        timeout_s=options.timeout_s,
        api_key=read_api_key(options.api_key_file) if options.api_key_file else options.api_key,
        tls=_tls(options),
    )


def _tls(options: argparse.Namespace) -> ClientTls | None:
    if not (options.tls or options.ca_file or options.cert_file or options.key_file):
        return None
    return ClientTls(
        ca_file=options.ca_file, cert_file=options.cert_file, key_file=options.key_file
    )


def _doctor(client: TwinshelfClient, options: argparse.Namespace, stream: TextIO) -> int:
    return run_doctor(client, plan_from(options, _tls(options)), stream, as_json=options.json)


def _index(client: TwinshelfClient, options: argparse.Namespace, stream: TextIO) -> int:
    file = ProductFile(options.file, options.columns)
    report = IndexReport()
    try:
        index_file(client, file, report, output.make_console(sys.stderr))
    except (TwinshelfError, ProductFileError):
        if report.stored_count:
            sys.stderr.write(
                f"{output.count_of(report.stored_count, 'product')} stored before this:\n"
            )
        raise
    if options.json:
        write_report(report, stream)
    else:
        print_report(report, output.make_console(stream))
    return FAILED if report.failures else DONE


def _match(client: TwinshelfClient, options: argparse.Namespace, stream: TextIO) -> int:
    offer = Offer(
        image=read_photo(options.image) if options.image else b"",
        title=options.title,
        description=options.description,
        category=options.category,
        brand=options.brand,
        attributes=dict(options.attribute),
    )
    if offer == Offer():
        raise _UnusableInputError("match needs a photo or a text: --image FILE, --title TEXT")
    result = client.match(
        offer,
        MatchOptions(
            match_count=options.match_count,
            weights=options.weights,
            min_probability=options.min_probability,
        ),
    )
    if options.json:
        output.write_json(stream, output.match_result_json(result))
    elif result.matches:
        output.make_console(stream).print(output.match_table(result))
    else:
        stream.write("no product matches\n")
    return DONE


def _get(client: TwinshelfClient, options: argparse.Namespace, stream: TextIO) -> int:
    stored = client.get(options.product_id)
    if options.json:
        output.write_json(stream, output.stored_product_json(stored))
    else:
        output.make_console(stream).print(output.stored_product_table(stored))
    return DONE


def _list(client: TwinshelfClient, options: argparse.Namespace, stream: TextIO) -> int:
    limit = None if options.all else options.limit
    products = islice(client.list_all(page_size=min(limit or 1000, 1000)), limit)
    if options.json:
        for product in products:
            output.write_json(stream, output.product_json(product))
        return DONE
    shown = list(products)
    if shown:
        output.make_console(stream).print(output.product_list_table(shown))
    else:
        stream.write("the catalogue is empty\n")
    if len(shown) == limit:
        sys.stderr.write(f"the first {limit:,}; --all prints all of them\n")
    return DONE


def _delete(client: TwinshelfClient, options: argparse.Namespace, stream: TextIO) -> int:
    ids: list[str] = options.product_ids
    missing: list[str] = []
    for start in range(0, len(ids), DELETED_AT_A_TIME):
        result = client.delete(ids[start : start + DELETED_AT_A_TIME])
        missing += result.missing_product_ids
        if options.json:
            output.write_json(stream, output.delete_result_json(result))
        else:
            stream.write(f"{output.count_of(result.deleted_count, 'product')} removed\n")
    if missing:
        return _complain("not in the catalogue: " + ", ".join(missing), FAILED)
    return DONE


def _stats(client: TwinshelfClient, options: argparse.Namespace, stream: TextIO) -> int:
    stats = client.stats()
    if options.json:
        output.write_json(stream, asdict(stats))
    else:
        output.make_console(stream).print(output.stats_table(stats))
    return DONE


_COMMANDS: dict[str, Callable[[TwinshelfClient, argparse.Namespace, TextIO], int]] = {
    "index": _index,
    "match": _match,
    "get": _get,
    "list": _list,
    "delete": _delete,
    "stats": _stats,
    "doctor": _doctor,
}


def _sentence(error: TwinshelfError) -> str:
    return f"{error.message} [{error.code.name}]"


def _complain(message: str, status: int) -> int:
    sys.stderr.write(f"twinshelf: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
