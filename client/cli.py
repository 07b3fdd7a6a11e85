"""The command `twinshelf`: indexes files, matches offers, looks into the catalogue.

twinshelf index products.csv
twinshelf match --image photo.jpg --title "Arabica coffee beans 1 kg" -k 5
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import entry_points
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from twinshelf.client.commands import output
from twinshelf.client.commands.categorise_command import categorise
from twinshelf.client.commands.encoders_command import encoders
from twinshelf.client.commands.groups_command import groups
from twinshelf.client.commands.keys_command import keys
from twinshelf.client.commands.match_command import match
from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import (
    FAILED,
    FILES_HELP,
    GREATEST_COUNT,
    INTERRUPTED,
    UNUSABLE_INPUT,
    Connection,
    FileOptions,
    IndexOptions,
    complain,
    read_path,
    read_sequence,
)
from twinshelf.client.commands.plain_help import PlainHelp
from twinshelf.client.commands.score_command import score
from twinshelf.client.doctor.command import doctor
from twinshelf.client.files.findings import count_of

DELETED_AT_A_TIME: Final = 10_000
INSTALLED_COMMANDS: Final = "twinshelf.commands"
EPILOG: Final = (
    "Exit status: 0 done; 1 the service failed or refused something; 2 the input cannot be used; "
    "130 stopped by Ctrl-C."
)


class _Commands(PlainHelp, TyperGroup):
    """Turns what ends a command early into a sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command.

        Args:
            ctx: The command line as read.

        Raises:
            typer.Exit: With the exit status, if the command ends early.
        """
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # what cannot be written is found here, and not at exit
        except UnicodeEncodeError as error:  # a value that no message can hold
            complain(f"text must be UTF-8, got {error.object!r}")
            raise typer.Exit(UNUSABLE_INPUT) from None
        except ValueError as error:
            complain(str(error))
            raise typer.Exit(UNUSABLE_INPUT) from None
        except KeyboardInterrupt:
            complain("stopped")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has gone (`twinshelf list | head`): what it wanted is done.
            _drop_output()
            raise typer.Exit from None
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            if _drop_output():
                place = "standard output: "
            complain(f"{place}{error.strerror or error}")
            raise typer.Exit(UNUSABLE_INPUT) from None


def _drop_output() -> bool:
    """Drops what cannot be written, of which Python would complain again when it ends.

    Returns:
        Whether there was any.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


app = typer.Typer(
    cls=_Commands,
    help="Matches offers to the products of a catalogue, and keeps that catalogue.",
    epilog=EPILOG,
    pretty_exceptions_enable=False,
)
app.add_typer(keys, name="keys")
app.add_typer(groups, name="groups")
app.add_typer(encoders, name="encoders")
app.command()(match)
app.command()(score)
app.command()(categorise)
app.command()(doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status.

    Args:
        arguments: The command line without the program's name; None takes that of the process.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without a sign shows "?" in its place; what was done is told all the same.
        sys.stdout.reconfigure(errors="replace")
    try:
        app(arguments, prog_name="twinshelf")
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@app.callback()
@spread
def _shared(context: typer.Context, connection: Connection) -> None:
    # What stands before the command is the default of what stands after it.
    context.default_map = _defaults(context.command, asdict(connection))


def _defaults(command: Any, given: dict[str, Any]) -> dict[str, Any]:
    inner = getattr(command, "commands", {})
    return given | {name: _defaults(each, given) for name, each in inner.items()}


@app.command(epilog=EPILOG)
@spread
def index(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", parser=read_path, help=FILES_HELP)],
    file_options: FileOptions,
    connection: Connection,
    options: IndexOptions,
) -> None:
    """Store the products of files.

    One that is there already is replaced. Rows that fail are listed with their
    number and reason, and do not stop the others. A run that was stopped goes on
    where it was.
    """
    from twinshelf.client.commands.file_commands import run_check, run_index

    if options.reindex and options.update:
        raise ValueError("either --reindex or --update can be given, not both")
    if options.check:
        run_check(files, file_options, options.update, sys.stdout, as_json=connection.json)
        return
    with connection.open_for_files() as client:
        is_stored = run_index(
            client, files, file_options, options, sys.stdout, as_json=connection.json
        )
    if not is_stored:
        raise typer.Exit(FAILED)


@app.command()
@spread
def get(
    product_id: Annotated[str, typer.Argument(metavar="PRODUCT_ID")], connection: Connection
) -> None:
    """Print one product."""
    with connection.open() as client:
        stored = client.get(product_id)
    if connection.json:
        output.write_json(sys.stdout, output.stored_product_json(stored))
    else:
        output.make_console(sys.stdout).print(output.stored_product_table(stored))


@app.command("list")
@spread
def list_products(
    connection: Connection,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=GREATEST_COUNT, help="Products at most.")
    ] = 50,
    has_no_limit: Annotated[bool, typer.Option("--all", help="Print all of them.")] = False,
) -> None:
    """Print products, by their ids."""
    count = None if has_no_limit else limit
    with connection.open() as client:
        products = client.list_all(page_size=min(count or 1000, 1000))
        if connection.json:
            for product in islice(products, count):
                output.write_json(sys.stdout, output.product_json(product))
            return
        shown, more = output.first_of(products, count)
    if shown:
        output.make_console(sys.stdout).print(output.product_list_table(shown))
    else:
        sys.stdout.write("the catalogue is empty\n")
    sys.stderr.write(more)


@app.command()
@spread
def delete(
    product_ids: Annotated[list[str], typer.Argument(metavar="PRODUCT_ID")],
    connection: Connection,
) -> None:
    """Remove products for good."""
    missing: list[str] = []
    with connection.open() as client:
        for start in range(0, len(product_ids), DELETED_AT_A_TIME):
            result = client.delete(product_ids[start : start + DELETED_AT_A_TIME])
            missing += result.missing_product_ids
            if connection.json:
                output.write_json(sys.stdout, output.delete_result_json(result))
            else:
                removed = count_of(result.deleted_count, "product")
                sys.stdout.write(f"{removed} removed\n")
    if missing:
        complain("not in the catalogue: " + ", ".join(missing))
        raise typer.Exit(FAILED)


@app.command()
@spread
def stats(connection: Connection) -> None:
    """Count products and name the encoder."""
    with connection.open() as client:
        counts = client.stats()
    if connection.json:
        output.write_json(sys.stdout, asdict(counts))
    else:
        output.make_console(sys.stdout).print(output.stats_table(counts))


@app.command()
@spread
def watch(
    connection: Connection,
    from_sequence: Annotated[
        int | None,
        typer.Option(
            "--from",
            metavar="SEQUENCE",
            parser=read_sequence,
            help="Go on after this change; 0 prints every product first (default: from now on).",
        ),
    ] = None,
    includes_products: Annotated[
        bool, typer.Option("--products", help="Print the products as well.")
    ] = False,
) -> None:
    """Print the changes of the catalogue as they come, one line of JSON for each."""
    with connection.open() as client:
        for change in client.watch(from_sequence, includes_products=includes_products):
            output.write_json(sys.stdout, output.product_change_json(change))
            sys.stdout.flush()


@app.command()
@spread
def snapshot(connection: Connection) -> None:
    """Write a snapshot of the search index, from which the service starts quickly.

    One is also written on schedule and at shutdown. A million products may need --timeout 600.
    """
    with connection.open() as client:
        report = client.snapshot()
    if connection.json:
        output.write_json(sys.stdout, asdict(report))
    else:
        vectors = count_of(report.vector_count, "vector")
        sys.stdout.write(f"{vectors} stored, up to change {report.change_sequence:,}\n")


def _add_installed() -> None:
    """Adds commands of parts that the client knows nothing of, such as the server's."""
    for found in entry_points(group=INSTALLED_COMMANDS):
        try:
            command = found.load()
        except ModuleNotFoundError as error:
            # An image may hold the client alone, and the names of all commands.
            if not (error.name or "").startswith("twinshelf."):
                raise
        else:
            app.command(found.name, epilog=EPILOG)(command)


_add_installed()


if __name__ == "__main__":
    sys.exit(main())
