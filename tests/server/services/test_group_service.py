"""GroupService on a fake encoder: what is listed, told, changed by hand and refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.server.calls import catalog, code_of, error_info, groups, serving, upsert, violated_field
from tests.server.catalogue.groups.planted import CURVES
from tests.server.fake_encoder import FakeEncoder, make_contract
from twinshelf.server.config import ServerConfig
from twinshelf.v1 import catalog_service_pb2
from twinshelf.v1 import group_service_pb2 as pb
from twinshelf.v1.product_pb2 import Product

PRODUCTS = [
    *(Product(product_id=f"mug {number}", title="mug") for number in range(3)),
    *(Product(product_id=f"pan {number}", title="pan") for number in range(2)),
    Product(product_id="lone", title="lamp"),
]
MUGS, PANS = ["mug 0", "mug 1", "mug 2"], ["pan 0", "pan 1"]


@pytest.fixture
def audit_log(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
async def channel(config: ServerConfig, audit_log: Path) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service with three kinds of products."""
    encoder = FakeEncoder(make_contract(pair_curves=CURVES))
    async with serving(replace(config, audit_log=str(audit_log)), encoder) as running:
        await upsert(running, PRODUCTS)
        await list_groups(running)
        yield running


async def list_groups(channel: grpc.aio.Channel, **fields: Any) -> pb.ListGroupsResponse:
    """Returns a page of groups, once all is grouped."""
    async with asyncio.timeout(20):
        while True:
            page = await groups(channel).ListGroups(pb.ListGroupsRequest(**fields))
            if not page.pending_product_count:
                return page
            await asyncio.sleep(0.05)


async def ids_of(channel: grpc.aio.Channel) -> list[str]:
    return [group.group_id for group in (await list_groups(channel)).groups]


async def history(channel: grpc.aio.Channel, **fields: Any) -> pb.GroupHistoryResponse:
    return await groups(channel).GroupHistory(pb.GroupHistoryRequest(**fields))


@pytest.mark.slow
async def test_groups_are_listed_a_page_at_a_time(channel: grpc.aio.Channel) -> None:
    first = await list_groups(channel, page_size=1)
    second = await list_groups(channel, page_size=1, page_token=first.next_page_token)
    assert second.next_page_token == ""
    listed = [*first.groups, *second.groups]
    assert [sorted(group.product_ids) for group in listed] == [MUGS, PANS]
    assert all(group.start_time.seconds > 0 for group in listed)
    assert not any(group.has_pinned_products for group in listed)


@pytest.mark.slow
async def test_a_group_is_found_by_its_id_and_by_its_products(channel: grpc.aio.Channel) -> None:
    (mugs, _) = (await list_groups(channel)).groups
    for request in (
        pb.GetGroupRequest(group_id=mugs.group_id),
        pb.GetGroupRequest(product_id="mug 1"),
    ):
        assert (await groups(channel).GetGroup(request)).group == mugs
    alone = await groups(channel).GetGroup(pb.GetGroupRequest(product_id="lone"))
    assert not alone.HasField("group")


@pytest.mark.slow
async def test_changes_by_hand_are_told_noted_and_undone(
    channel: grpc.aio.Channel, audit_log: Path
) -> None:
    mugs, pans = await ids_of(channel)
    merged = await groups(channel).MergeGroups(
        pb.MergeGroupsRequest(source_group_id=pans, target_group_id=mugs)
    )
    assert merged.event.kind == pb.GROUP_EVENT_KIND_MERGED
    assert merged.event.is_by_hand
    ended = await groups(channel).GetGroup(pb.GetGroupRequest(group_id=pans))
    assert (list(ended.group.product_ids), ended.group.merged_into_group_id) == ([], mugs)
    split = await groups(channel).SplitGroup(
        pb.SplitGroupRequest(group_id=mugs, product_ids=["mug 0"])
    )
    assert split.event.target_group_id not in (mugs, pans)
    undo = pb.UndoGroupEventRequest(event_number=merged.event.event_number)
    undone = (await groups(channel).UndoGroupEvent(undo)).event
    assert (undone.source_group_id, undone.target_group_id) == (mugs, pans)
    assert undone.undoes_event_number == merged.event.event_number

    told = [event async for event in every_event(channel, pans)]
    assert [event.kind for event in told] == [
        pb.GROUP_EVENT_KIND_STARTED, pb.GROUP_EVENT_KIND_MERGED, pb.GROUP_EVENT_KIND_SPLIT
    ]  # fmt: skip
    assert told[1].undone_by_event_number == undone.event_number
    assert len([event async for event in every_event(channel, "")]) == 5

    assert await code_of(groups(channel).UndoGroupEvent(undo)) is (
        grpc.StatusCode.FAILED_PRECONDITION
    )
    noted = [json.loads(line) for line in audit_log.read_text().splitlines()]
    outcomes = [each["outcome"] for each in noted if "GroupService" in each["method"]]
    assert outcomes == ["MERGED", "SPLIT", "SPLIT", "GROUP_CONFLICT"]


async def every_event(channel: grpc.aio.Channel, group_id: str) -> AsyncIterator[pb.GroupEvent]:
    token = ""
    while True:
        page = await history(channel, group_id=group_id, page_size=1, page_token=token)
        for event in page.events:
            yield event
        if not (token := page.next_page_token):
            return


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("GetGroup", pb.GetGroupRequest(), "group_id"),
        ("GetGroup", pb.GetGroupRequest(group_id="12"), "group_id"),
        ("GetGroup", pb.GetGroupRequest(group_id="g" + "9" * 30), "group_id"),
        ("GetGroup", pb.GetGroupRequest(product_id=""), "product_id"),
        ("ListGroups", pb.ListGroupsRequest(page_size=1001), "page_size"),
        ("ListGroups", pb.ListGroupsRequest(page_token="YWZ0ZXI6eA=="), "page_token"),
        ("GroupHistory", pb.GroupHistoryRequest(group_id="x"), "group_id"),
        ("MergeGroups", pb.MergeGroupsRequest(source_group_id="g1"), "target_group_id"),
        ("SplitGroup", pb.SplitGroupRequest(group_id="g1"), "product_ids"),
    ],
)
async def test_malformed_requests_are_refused_and_writes_among_them_noted(
    channel: grpc.aio.Channel, audit_log: Path, method: str, request_: object, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await getattr(groups(channel), method)(request_)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violated_field(raised.value) == field
    noted = [json.loads(line) for line in audit_log.read_text().splitlines()]
    outcomes = [each["outcome"] for each in noted if "GroupService" in each["method"]]
    assert outcomes == (["INVALID_REQUEST"] if method in ("MergeGroups", "SplitGroup") else [])


@pytest.mark.slow
async def test_what_is_not_there_is_not_found(channel: grpc.aio.Channel) -> None:
    for call, reason in (
        (groups(channel).GetGroup(pb.GetGroupRequest(group_id="g99")), "GROUP_NOT_FOUND"),
        (groups(channel).GetGroup(pb.GetGroupRequest(product_id="no")), "PRODUCT_NOT_FOUND"),
        (groups(channel).GroupHistory(pb.GroupHistoryRequest(group_id="g99")), "GROUP_NOT_FOUND"),
        (
            groups(channel).UndoGroupEvent(pb.UndoGroupEventRequest(event_number=99)),
            "GROUP_NOT_FOUND",
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        assert error_info(raised.value).reason == reason


@pytest.mark.slow
async def test_a_deleted_product_is_in_no_group_at_once(channel: grpc.aio.Channel) -> None:
    (mugs, _) = await ids_of(channel)
    request = catalog_service_pb2.DeleteProductsRequest(product_ids=["mug 0"])
    await catalog(channel).DeleteProducts(request)
    found = await groups(channel).GetGroup(pb.GetGroupRequest(group_id=mugs))
    assert sorted(found.group.product_ids) == MUGS[1:]


async def test_a_service_that_does_not_group_says_what_waits(config: ServerConfig) -> None:
    encoder = FakeEncoder(make_contract(pair_curves=CURVES))
    async with serving(replace(config, groups=False), encoder) as running:
        await upsert(running, PRODUCTS)
        page = await groups(running).ListGroups(pb.ListGroupsRequest())
        assert (len(page.groups), page.pending_product_count) == (0, len(PRODUCTS))
