"""The pages of the duplicate groups: what is in them, where they would part, and their history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from twinshelf.client.errors import (
    InvalidRequestError,
    ProductNotFoundError,
    TwinshelfError,
    UnauthenticatedError,
)
from twinshelf.client.groups.records import Group
from twinshelf.client.records import MatchOptions, Offer, Product
from twinshelf.client.web.group_links import Link, weakest_link
from twinshelf.client.web.guard import sent_form
from twinshelf.client.web.pages import page
from twinshelf.client.web.product_photos import PhotoPlace
from twinshelf.client.web.state import client_of, state_of

GROUPS_ON_A_PAGE = 20
PRODUCTS_OF_A_GROUP = 4
MEMBERS_ON_A_PAGE = 24
EVENTS_ON_A_PAGE = 50
# What the page says once a person has moved products.
_DONE = {
    "split": "They were taken out of their group.",
    "merge": "The two groups are one now.",
    "undo": "That event was undone.",
}
# Twins that lie further down than this count as not alike.
_MATCHES_LOOKED_AT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A product of a group as it is shown.

    Attributes:
        product_id: Its identifier.
        product: What the catalogue has; None when it is gone by now.
        photo: Where its photo can be seen.
    """

    product_id: str
    product: Product | None
    photo: PhotoPlace


async def show_groups(request: Request) -> HTMLResponse:
    """Answers GET /groups: a page of the groups, each with some of its products."""
    token = request.query_params.get("after", "")
    try:
        found = await client_of(request).groups.list_page(
            page_size=GROUPS_ON_A_PAGE, page_token=token
        )
    except InvalidRequestError:
        if not token:
            raise
        raise HTTPException(400, "There is no such page of the groups.") from None
    shown = [each for group in found.groups for each in group.product_ids[:PRODUCTS_OF_A_GROUP]]
    members = await _members(request, shown)
    values = {
        "groups": [
            (group, [members[each] for each in group.product_ids[:PRODUCTS_OF_A_GROUP]])
            for group in found.groups
        ],
        "pending_count": found.pending_product_count,
        "next_token": found.next_page_token,
        "is_first": not token,
        "done": _done(request),
    }
    return page(request, "groups", values)


async def show_group(request: Request) -> HTMLResponse:
    """Answers GET /groups/group: the members of a group, its weakest link, its history."""
    group = await _asked_group(request)
    first = request.query_params.get("first", "0")
    start = int(first) if first.isdecimal() and len(first) < 9 else 0
    ids = group.product_ids[start : start + MEMBERS_ON_A_PAGE]
    members = await _members(request, ids)
    links, trouble = await _links(request, members)
    history = await client_of(request).groups.history_page(
        group.group_id, page_size=EVENTS_ON_A_PAGE
    )
    is_part = len(ids) < len(group.product_ids)
    values = {
        "group": group,
        "members": [members[each] for each in ids],
        "links": {each: _best_link(each, links) for each in ids},
        "weakest": None if trouble or is_part else weakest_link(ids, links),
        "trouble": trouble,
        "titles": {each: _title(members[each]) for each in ids},
        "start": start,
        "next_start": start + MEMBERS_ON_A_PAGE,
        "events": history.events,
        "next_token": history.next_page_token,
        "done": _done(request),
    }
    return page(request, "group", values)


async def show_history(request: Request) -> HTMLResponse:
    """Answers GET /groups/history: a page of the journal, of one group or of all."""
    group_id, token = (request.query_params.get(name, "") for name in ("id", "after"))
    try:
        found = await client_of(request).groups.history_page(
            group_id, page_size=EVENTS_ON_A_PAGE, page_token=token
        )
    except InvalidRequestError:
        raise HTTPException(400, "There is no such page of the history.") from None
    values = {"group_id": group_id, "events": found.events, "next_token": found.next_page_token}
    return page(request, "group_history", values)


async def split_group(request: Request) -> Response:
    """Answers POST /groups/split: moves the chosen members to a group of their own."""
    async with sent_form(request) as form:
        group_id, ids = str(form.get("id", "")), list(map(str, form.getlist("member")))
    if not ids:
        raise HTTPException(400, "Choose the products that are to go to a group of their own.")
    event = await client_of(request).groups.split(group_id, ids)
    return _to_group(event.target_group_id, "split")


async def merge_groups(request: Request) -> Response:
    """Answers POST /groups/merge: moves all products of a group to another."""
    async with sent_form(request) as form:
        group_id, other = str(form.get("id", "")), str(form.get("other", "")).strip()
    groups = client_of(request).groups
    try:
        into = await groups.of_product(other)
    except (ProductNotFoundError, InvalidRequestError):
        into = await groups.get(other)  # not a product, so that it must be a group
    if into is None:
        raise HTTPException(409, f"The product {other[:80]} stands in no group.")
    event = await groups.merge(group_id, into.group_id)
    return _to_group(event.target_group_id, "merge")


async def undo_event(request: Request) -> Response:
    """Answers POST /groups/undo: moves the products of an event back."""
    async with sent_form(request) as form:
        number = str(form.get("event", ""))
    if not number.isdecimal() or len(number) > 18:
        raise HTTPException(400, "An event must be given by its number.")
    event = await client_of(request).groups.undo(int(number))
    return _to_group(event.target_group_id, "undo")


async def _asked_group(request: Request) -> Group:
    """Returns the group that the address names, by its id or by one of its products."""
    groups, product_id = client_of(request).groups, request.query_params.get("product", "")
    if not product_id:
        return await groups.get(request.query_params.get("id", ""))
    group = await groups.of_product(product_id)
    if group is None:
        raise HTTPException(404, "That product stands in no group: no other is like it.")
    return group


async def _members(request: Request, ids: Sequence[str]) -> dict[str, Member]:
    client, photos = client_of(request), state_of(request).product_photos

    async def member(product_id: str) -> Member:
        """Asks for a product; one that is gone by now is none."""
        try:
            product = (await client.get(product_id)).product
        except ProductNotFoundError:
            return Member(product_id=product_id, product=None, photo=PhotoPlace())
        return Member(product_id=product_id, product=product, photo=photos.place(product))

    return {each.product_id: each for each in await asyncio.gather(*map(member, ids))}


async def _links(request: Request, members: Mapping[str, Member]) -> tuple[list[Link], str]:
    """Asks how alike the members are: each is matched, and the others are looked for.

    A member that cannot be matched now, such as one by its photo alone when that is not at hand,
    is linked by the others' answers.

    Returns:
        The links, and why there are none where the service could not match.
    """
    photos = state_of(request).product_photos
    offers = [photos.offer(each.product) for each in members.values() if each.product]
    usable = [each for each in offers if _can_be_matched(each)]
    options = MatchOptions(match_count=_MATCHES_LOOKED_AT, excludes_own_product=True)
    scores: dict[tuple[str, str], float] = {}
    trouble = ""
    try:
        async for answer in client_of(request).match_many(usable, options):
            if answer.error is not None:
                trouble = trouble or answer.error.message
            left = usable[answer.offer_index].product_id
            for match in answer.result.matches if answer.result else ():
                right = match.product.product_id
                if right in members:
                    pair = (min(left, right), max(left, right))
                    scores[pair] = max(match.score, scores.get(pair, match.score))
    except UnauthenticatedError:
        raise
    except TwinshelfError as error:
        return [], error.message
    links = [Link(left=pair[0], right=pair[1], score=score) for pair, score in scores.items()]
    return links, "" if links else trouble


def _can_be_matched(offer: Offer) -> bool:
    return bool(offer.image or offer.title or offer.description or offer.category or offer.brand)


def _best_link(product_id: str, links: Sequence[Link]) -> Link | None:
    own = [each for each in links if product_id in (each.left, each.right)]
    return max(own, key=lambda each: each.score, default=None)


def _title(member: Member) -> str:
    return (member.product and member.product.title) or member.product_id


def _to_group(group_id: str, done: str) -> Response:
    """Leads to the group, or to all where it is none; either says what was done."""
    place = "/groups/group" if group_id else "/groups"
    query = urlencode({"id": group_id, "done": done} if group_id else {"done": done})
    return RedirectResponse(f"{place}?{query}", status_code=303)


def _done(request: Request) -> str:
    return _DONE.get(request.query_params.get("done", ""), "")
