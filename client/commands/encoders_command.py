"""`twinshelf encoders`: embeds the catalogue for a new encoder, compares, switches, goes back."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from twinshelf.client.commands import output
from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import Connection, read_encoder

if TYPE_CHECKING:
    from twinshelf.client.encoders.records import EncoderState
    from twinshelf.client.sync_client import Client

LOOK_INTERVAL_S = 0.5
PHOTOS_COMMAND = "twinshelf index FILE --reindex"
encoders = typer.Typer(
    help="Change the encoder of the catalogue without a gap, and back.\n\nThe service must reach "
    "both: --other-triton, or --other-version for the local encoder."
)
EncoderArgument = Annotated[
    str,
    typer.Argument(metavar="ENCODER", help="Its version, or the beginning of its digest."),
]


@encoders.command("list")
@spread
def list_encoders(connection: Connection) -> None:
    """Print every encoder and how much of the catalogue it has embedded."""
    with connection.open() as client:
        found = client.encoders.list()
    _tell(found, as_json=connection.json)


@encoders.command()
@spread
def reindex(encoder: EncoderArgument, connection: Connection) -> None:
    """Embed the catalogue for an encoder, while the one that serves answers.

    Follows the progress; the service goes on without this command, and after a restart.
    """
    with connection.open() as client:
        state = client.encoders.reindex(_resolve(client, encoder))
        state = _follow(client, state)
    _tell((state,), as_json=connection.json)
    if state.waiting_product_count:
        sys.stderr.write(
            f"{state.waiting_product_count:,} products wait for their photos; send them again: "
            f"{PHOTOS_COMMAND}\n"
        )


@encoders.command()
@spread
def switch(encoder: EncoderArgument, connection: Connection) -> None:
    """Let an encoder serve that has embedded every product; the one before switches back."""
    with connection.open() as client:
        asked = _resolve(client, encoder)
        made = client.encoders.switch(asked)
    if connection.json:
        output.write_json(sys.stdout, asdict(made))
    elif made.serving == made.previous:
        serving = made.serving
        is_other = asked not in (serving.version, serving.digest)
        other = f", and version {asked} is the same encoder" if is_other else ""
        sys.stdout.write(
            f"nothing changed: version {serving.version} serves already{other}, {serving.digest}\n"
        )
    else:
        sys.stdout.write(
            f"version {made.serving.version} serves, {made.serving.digest}; before: version "
            f"{made.previous.version}\n"
        )


@encoders.command()
@spread
def drop(encoder: EncoderArgument, connection: Connection) -> None:
    """Remove the vectors of an encoder that does not serve, for good."""
    with connection.open() as client:
        count = client.encoders.drop(_resolve(client, encoder))
    if connection.json:
        output.write_json(sys.stdout, {"dropped_product_count": count})
    else:
        sys.stdout.write(f"vectors of {count:,} products removed\n")


@encoders.command()
@spread
def compare(connection: Connection) -> None:
    """Print how the encoder beside answers the live matches."""
    with connection.open() as client:
        found = client.encoders.compare()
    if connection.json:
        output.write_json(sys.stdout, asdict(found))
    elif found.other is None:
        sys.stdout.write("no encoder beside has embedded every product\n")
    else:
        sys.stdout.write(
            f"version {found.other.version} beside version {found.serving.version}, "
            f"{found.query_count:,} offers:\n"
            f"  overlap of the {found.depth} best   {found.mean_overlap:.3f}\n"
            f"  same best match          {found.same_best_share:.3f}\n"
            f"  score of the best        {found.mean_score_shift:+.3f}\n"
            f"  probability of the best  {found.mean_probability_shift:+.3f}\n"
            f"  failed                   {found.failure_count:,}\n"
        )


def _resolve(client: Client, text: str) -> int | str:
    """Reads a version, or completes a digest.

    Raises:
        ValueError: If no digest, or more than one, begins like this.
    """
    if isinstance(version := read_encoder(text), int):
        return version
    digests = [state.encoder.digest for state in client.encoders.list()]
    found = [each for each in digests if each.startswith(f"sha256:{text.removeprefix('sha256:')}")]
    if len(found) != 1:
        raise ValueError(f"{text!r} must begin one of {', '.join(digests)}")
    return found[0]


def _follow(client: Client, state: EncoderState) -> EncoderState:
    """Shows the progress until nothing more can be embedded without photos."""
    digest = state.encoder.digest
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console, is_reached = Console(file=sys.stderr), True
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("embedding")
        while True:
            total = state.embedded_product_count + state.missing_product_count
            progress.update(task, total=total, completed=state.embedded_product_count)
            stuck = state.waiting_product_count + state.failed_product_count
            if state.missing_product_count <= stuck:
                return state
            if is_reached and not state.is_reached:
                console.print("the service does not reach the encoder: waiting for it")
            is_reached = state.is_reached
            time.sleep(LOOK_INTERVAL_S)
            listed = {each.encoder.digest: each for each in client.encoders.list()}
            if digest not in listed:
                raise ValueError(f"the encoder {digest} is gone: somebody dropped it")
            state = listed[digest]


def _tell(states: tuple[EncoderState, ...], *, as_json: bool) -> None:
    if as_json:
        for state in states:
            output.write_json(sys.stdout, asdict(state))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("version", "digest", "state", "embedded", "missing", "photos", "refused"):
        table.add_column(name, no_wrap=name != "digest", overflow="fold")
    for state in states:
        table.add_row(
            str(state.encoder.version or "–"),
            state.encoder.digest,
            _state_word(state),
            f"{state.embedded_product_count:,}",
            f"{state.missing_product_count:,}",
            f"{state.waiting_product_count:,}",
            f"{state.failed_product_count:,}",
        )
    console = output.make_console(sys.stdout)
    console.print(table)
    for state in states:
        for failure in state.failures:
            console.print(f"{failure.product_id}: {failure.reason}", markup=False)


def _state_word(state: EncoderState) -> str:
    word = "serves" if state.is_serving else "kept" if state.is_kept else "beside"
    return word if state.is_reached else f"{word}, not reached"
