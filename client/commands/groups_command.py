"""`twinshelf groups`: lists groups and their history, merges and splits them, and undoes it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from twinshelf.client.commands import output
from twinshelf.client.commands.option_groups import spread
from twinshelf.client.commands.options import FAILED, GREATEST_COUNT, Connection, complain

if TYPE_CHECKING:
    from twinshelf.client.groups.records import Group, GroupEvent

groups = typer.Typer(
    help="Look at the groups of the same product, and mend them.\n\nThe service groups what is "
    "written within seconds. What is merged, split or undone here stays so."
)
GroupArgument = Annotated[str, typer.Argument(metavar="GROUP_ID")]
LimitOption = Annotated[
    int, typer.Option(metavar="N", min=1, max=GREATEST_COUNT, help="Lines at most.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Print all of them.")]


@groups.command("list")
@spread
def list_groups(
    connection: Connection, limit: LimitOption = 50, has_no_limit: AllOption = False
) -> None:
    """Print the groups of two products or more, oldest first."""
    count = None if has_no_limit else limit
    with connection.open() as client:
        found = client.groups.list_all(page_size=min(count or 1000, 1000))
        if connection.json:
            for group in islice(found, count):
                output.write_json(sys.stdout, _group_json(group))
            return
        shown, more = output.first_of(found, count)
        pending_count = client.groups.list_page(page_size=1).pending_product_count
    _print_groups(shown)
    sys.stderr.write(more)
    if pending_count:
        sys.stderr.write(f"{pending_count:,} products are not grouped yet\n")


@groups.command()
@spread
def get(
    connection: Connection,
    group_id: Annotated[str, typer.Argument(metavar="[GROUP_ID]")] = "",
    product_id: Annotated[
        str, typer.Option("--product", metavar="PRODUCT_ID", help="One of its products, instead.")
    ] = "",
) -> None:
    """Print one group, by its id or by one of its products."""
    if bool(group_id) == bool(product_id):
        raise ValueError("either GROUP_ID or --product must be given, not both")
    with connection.open() as client:
        if group_id:
            group = client.groups.get(group_id)
        elif (found := client.groups.of_product(product_id)) is not None:
            group = found
        else:
            complain(f"{product_id} stands in no group")
            raise typer.Exit(FAILED)
    if connection.json:
        output.write_json(sys.stdout, _group_json(group))
    else:
        _print_groups([group])


@groups.command()
@spread
def history(
    connection: Connection,
    group_id: Annotated[str, typer.Argument(metavar="[GROUP_ID]")] = "",
    limit: LimitOption = 50,
    has_no_limit: AllOption = False,
) -> None:
    """Print what became of a group or of all of them, oldest first."""
    count = None if has_no_limit else limit
    with connection.open() as client:
        found = client.groups.history(group_id, page_size=min(count or 1000, 1000))
        if connection.json:
            for event in islice(found, count):
                output.write_json(sys.stdout, _event_json(event))
            return
        shown, more = output.first_of(found, count)
    _print_events(shown)
    sys.stderr.write(more)


@groups.command()
@spread
def merge(
    source_group_id: Annotated[str, typer.Argument(metavar="SOURCE_ID", help="Ends.")],
    target_group_id: Annotated[
        str, typer.Argument(metavar="TARGET_ID", help="Takes its products.")
    ],
    connection: Connection,
) -> None:
    """Move all products of a group to another, which they stay in."""
    with connection.open() as client:
        event = client.groups.merge(source_group_id, target_group_id)
    _tell(event, as_json=connection.json)


@groups.command()
@spread
def split(
    group_id: GroupArgument,
    product_ids: Annotated[list[str], typer.Argument(metavar="PRODUCT_ID")],
    connection: Connection,
) -> None:
    """Move products of a group to a new one; both stay apart."""
    with connection.open() as client:
        event = client.groups.split(group_id, product_ids)
    _tell(event, as_json=connection.json)


@groups.command()
@spread
def undo(
    event_number: Annotated[int, typer.Argument(metavar="EVENT", min=1, max=2**63 - 1)],
    connection: Connection,
) -> None:
    """Move the products of an event of the history back."""
    with connection.open() as client:
        event = client.groups.undo(event_number)
    _tell(event, as_json=connection.json)


def _tell(event: GroupEvent, *, as_json: bool) -> None:
    if as_json:
        output.write_json(sys.stdout, _event_json(event))
    else:
        _print_events([event])


def _group_json(group: Group) -> dict[str, Any]:
    return asdict(group) | {
        "product_ids": list(group.product_ids),
        "start_time": group.start_time.isoformat(),
    }


def _event_json(event: GroupEvent) -> dict[str, Any]:
    return asdict(event) | {
        "product_ids": list(event.product_ids),
        "time": event.time.isoformat(),
    }


def _print_groups(shown: Iterable[Group]) -> None:
    rows = [
        (
            group.group_id,
            f"{group.start_time:%Y-%m-%d %H:%M}",
            "by hand" if group.has_pinned_products else "",
            str(len(group.product_ids)),
            _joined(group.product_ids)
            or (
                f"ended in {group.merged_into_group_id}" if group.merged_into_group_id else "ended"
            ),
        )
        for group in shown
    ]
    _print_table(("group", "started (UTC)", "placed", "count", "products"), rows, "no groups")


def _print_events(shown: Iterable[GroupEvent]) -> None:
    rows = [
        (
            str(event.event_number),
            f"{event.time:%Y-%m-%d %H:%M:%S}",
            event.kind + (" by hand" if event.is_by_hand else ""),
            event.source_group_id or "–",
            event.target_group_id or "–",
            _undone(event),
            _joined(event.product_ids),
        )
        for event in shown
    ]
    names = ("event", "time (UTC)", "what", "from", "to", "undo", "products")
    _print_table(names, rows, "no events")


def _undone(event: GroupEvent) -> str:
    if event.undoes_event_number:
        return f"of {event.undoes_event_number}"
    return f"by {event.undone_by_event_number}" if event.undone_by_event_number else ""


def _joined(product_ids: Iterable[str]) -> str:
    return ", ".join(product_ids)


def _print_table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]], nothing: str) -> None:
    """Prints rows, the last cell folded; or that there are none."""
    if not rows:
        sys.stdout.write(f"{nothing}\n")
        return
    table = Table(box=None, pad_edge=False)
    for name in names[:-1]:
        table.add_column(name, no_wrap=True)
    table.add_column(names[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(output.plain, row))
    output.make_console(sys.stdout).print(table)
