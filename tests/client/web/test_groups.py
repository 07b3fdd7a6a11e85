"""The pages of the groups, before a real service."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.client.conftest import QUICK_RETRIES
from tests.client.groups.conftest import make_encoder, serve_groups
from tests.client.web.conftest import Browser, open_browser
from tests.server.fake_encoder import FakeEncoder
from twinshelf.client.web.config import PageConfig

pytestmark = pytest.mark.slow

GROUP = re.compile(r'href="(/groups/group\?id=[^"&]+)" data-step>(\d+) products')
Walk = Callable[[Callable[[Browser], None]], object]


@pytest.fixture
def encoder() -> FakeEncoder:
    return make_encoder()


@pytest.fixture
async def walk(tmp_path: Path, encoder: FakeEncoder) -> AsyncIterator[Walk]:
    """Walks through pages in a thread, beside the service in the loop of the test."""
    async with serve_groups(tmp_path, encoder) as address:
        config = PageConfig(
            address=address,
            judgements=tmp_path / "judgements.sqlite",
            timeout_s=5,
            retry_policy=QUICK_RETRIES,
        )

        def run(steps: Callable[[Browser], None]) -> None:
            with open_browser(config) as client:
                steps(Browser(client))

        async def in_thread(steps: Callable[[Browser], None]) -> None:
            await asyncio.to_thread(run, steps)

        yield in_thread


async def test_groups_are_listed_and_shown_with_their_members(walk: Walk) -> None:
    def steps(browser: Browser) -> None:
        mugs, pans = GROUP.findall(browser.get("/groups").text)
        assert (mugs[1], pans[1]) == ("3", "2")
        text = browser.get(mugs[0]).text
        for number in range(3):
            assert f'name="member" value="mug {number}"' in text
        assert "Weakest link" in text and "likeness 1.000" in text and "is-weak" in text
        assert text.count(" checked") == 1 and "started" in text
        assert browser.get("/groups/group?product=pan%201").text.count('name="member"') == 2

    await walk(steps)  # type: ignore[misc]


async def test_a_group_is_split_merged_and_mended(walk: Walk) -> None:
    def steps(browser: Browser) -> None:
        address = GROUP.findall(browser.get("/groups").text)[0][0]
        group_id = address.partition("=")[2]
        answer = browser.send("/groups/split", {"id": group_id, "member": "mug 1"})
        assert answer.status_code == 200 and answer.text.count('name="member"') == 1
        assert "<td>split</td>" in answer.text and "taken out of their group" in answer.text
        text = browser.get(address).text
        assert text.count('name="member"') == 2 and "a person placed some" in text
        number = re.findall(r'name="event" value="(\d+)"', text)[-1]
        assert "That event was undone" in browser.send("/groups/undo", {"event": number}).text
        assert browser.get(address).text.count('name="member"') == 3
        answer = browser.send("/groups/merge", {"id": group_id, "other": "pan 0"})
        assert answer.text.count('name="member"') == 5 and "groups are one now" in answer.text
        assert "This group has ended" in browser.get(address).text
        text = browser.get("/groups/history").text
        assert f"undone by {int(number) + 1}" in text and "<td>merged</td>" in text

    await walk(steps)  # type: ignore[misc]


async def test_what_cannot_be_done_to_a_group_is_a_sentence(walk: Walk) -> None:
    def steps(browser: Browser) -> None:
        group_id = GROUP.findall(browser.get("/groups").text)[0][0].partition("=")[2]
        for path, fields, status in [
            ("split", {"id": group_id}, 400),
            ("split", {"id": group_id, "member": "pan 0"}, 409),
            ("merge", {"id": group_id, "other": "mug 0"}, 409),
            ("merge", {"id": group_id, "other": "lone"}, 409),
            ("undo", {"event": "x"}, 400),
            ("undo", {"event": "12345"}, 404),
        ]:
            answer = browser.send(f"/groups/{path}", fields)
            assert answer.status_code == status, (path, fields, answer.text)
            assert 'role="alert"' in answer.text
        assert browser.get("/groups/group?product=lone").status_code == 404
        assert browser.get("/groups/group?product=no").status_code == 404
        for page in ("/groups/group?id=no", "/groups?after=x", "/groups/history?after=x"):
            assert browser.get(page).status_code in (400, 404), page

    await walk(steps)  # type: ignore[misc]


async def test_a_group_can_be_mended_while_nothing_can_be_matched(
    walk: Walk, encoder: FakeEncoder
) -> None:
    def steps(browser: Browser) -> None:
        address = GROUP.findall(browser.get("/groups").text)[0][0]
        encoder.is_away = True
        answer = browser.get(address)
        assert answer.status_code == 200 and answer.text.count('name="member"') == 3
        assert "not known now: the encoder is away" in answer.text
        assert "is-weak" not in answer.text and "none of these" not in answer.text
        group_id = address.partition("=")[2]
        answer = browser.send("/groups/split", {"id": group_id, "member": "mug 1"})
        assert "taken out of their group" in answer.text and "<td>split</td>" in answer.text
        number = re.findall(r'name="event" value="(\d+)"', answer.text)[-1]
        assert "That event was undone" in browser.send("/groups/undo", {"event": number}).text

    await walk(steps)  # type: ignore[misc]
