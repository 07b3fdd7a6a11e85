"""The groups of both clients, and `twinshelf groups`, against a real service."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import pytest

from twinshelf.client.async_client import AsyncClient
from twinshelf.client.cli import main
from twinshelf.client.errors import (
    GroupNotFoundError,
    InvalidRequestError,
    PreconditionError,
    ProductNotFoundError,
)
from twinshelf.client.groups.async_groups import AsyncGroups
from twinshelf.client.groups.records import Group
from twinshelf.client.groups.sync_groups import Groups
from twinshelf.client.sync_client import Client

MUGS, PANS = {"mug 0", "mug 1", "mug 2"}, {"pan 0", "pan 1"}


def change_groups(address: str) -> None:
    """Does with the client of ordinary code what a person does to groups."""
    with Client(address) as client:
        mugs, pans = client.groups.list_all(page_size=1)
        assert (set(mugs.product_ids), set(pans.product_ids)) == (MUGS, PANS)
        assert client.groups.of_product("mug 0") == client.groups.get(mugs.group_id) == mugs
        assert client.groups.of_product("lone") is None
        event = client.groups.merge(pans.group_id, mugs.group_id)
        assert (event.kind, event.is_by_hand, set(event.product_ids)) == ("merged", True, PANS)
        assert client.groups.get(pans.group_id).merged_into_group_id == mugs.group_id
        undone = client.groups.undo(event.event_number)
        assert undone.undoes_event_number == event.event_number
        split = client.groups.split(mugs.group_id, ["mug 0"])
        told = list(client.groups.history(mugs.group_id, page_size=1))
        assert [each.kind for each in told] == ["started", "merged", "split", "split"]
        assert told[-1] == split
        assert len(list(client.groups.history())) == 5


@pytest.mark.slow
async def test_the_client_reads_and_changes_groups(address: str) -> None:
    await asyncio.to_thread(change_groups, address)


@pytest.mark.slow
async def test_the_client_for_asyncio_does_the_same(address: str) -> None:
    async with AsyncClient(address) as client:
        mugs, pans = [group async for group in client.groups.list_all(page_size=1)]
        assert await client.groups.of_product("mug 0") == await client.groups.get(mugs.group_id)
        event = await client.groups.merge(pans.group_id, mugs.group_id)
        await client.groups.undo(event.event_number)
        await client.groups.split(mugs.group_id, ["mug 0"])
        told = [each.kind async for each in client.groups.history(mugs.group_id, page_size=1)]
        assert told == ["started", "merged", "split", "split"]


@pytest.mark.slow
async def test_what_is_not_there_or_cannot_be_done_has_errors_of_its_own(address: str) -> None:
    async with AsyncClient(address) as client:
        with pytest.raises(GroupNotFoundError, match="no group"):
            await client.groups.get("g99")
        with pytest.raises(ProductNotFoundError, match="no product 'no'"):
            await client.groups.of_product("no")
        with pytest.raises(InvalidRequestError, match="such as g12, got 'mugs'"):
            await client.groups.get("mugs")
        group = await client.groups.of_product("mug 0")
        assert isinstance(group, Group)
        with pytest.raises(PreconditionError, match="one product must stay"):
            await client.groups.split(group.group_id, sorted(MUGS))


def test_both_clients_have_the_same_methods() -> None:
    def signatures(kind: type) -> dict[str, list[str]]:
        members = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in members}

    assert signatures(Groups) == signatures(AsyncGroups)


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["groups", *arguments, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
async def test_the_command_line_lists_changes_and_undoes(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINSHELF_ADDRESS", address)

    def work() -> None:
        mugs, pans = (each["group_id"] for each in run_json(capsys, "list"))
        (shown,) = run_json(capsys, "get", "--product", "pan 1")
        assert (shown["group_id"], set(shown["product_ids"])) == (pans, PANS)
        (event,) = run_json(capsys, "merge", pans, mugs)
        run_json(capsys, "undo", str(event["event_number"]))
        run_json(capsys, "split", mugs, "mug 0")
        assert len(run_json(capsys, "history")) == 5
        assert main(["groups", "history", mugs]) == 0
        told = capsys.readouterr().out
        assert "merged by hand" in told and "mug 0" in told
        assert main(["groups", "list"]) == 0
        listed = capsys.readouterr().out
        assert "by hand" in listed and "pan 0, pan 1" in listed

    await asyncio.to_thread(work)


@pytest.mark.slow
async def test_the_command_line_says_what_is_wrong(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINSHELF_ADDRESS", address)

    def work() -> None:
        assert main(["groups", "get", "--product", "lone"]) == 1
        assert "lone stands in no group" in capsys.readouterr().err
        assert main(["groups", "get"]) == 2
        assert "either GROUP_ID or --product" in capsys.readouterr().err
        assert main(["groups", "get", "g99"]) == 1
        assert "[NOT_FOUND]" in capsys.readouterr().err

    await asyncio.to_thread(work)
