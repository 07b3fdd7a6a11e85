"""A page before a fake service, and a browser's side of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.client.conftest import QUICK_RETRIES
from twinshelf.client.web.app import make_app
from twinshelf.client.web.config import PageConfig

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32
_TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


class Browser:
    """Asks for pages and sends their forms, with the token that the page has."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, address: str, **options: Any) -> Any:
        return self.client.get(address, **options)

    def token(self, address: str = "/") -> str:
        found = _TOKEN.search(self.get(address).text)
        assert found, f"no form at {address}"
        return found[1]

    def send(self, address: str, fields: dict[str, str] | None = None, **options: Any) -> Any:
        data = {"token": self.token()} | (fields or {})
        return self.client.post(address, data=data, **options)


@pytest.fixture
def config(address: str, tmp_path: Path) -> PageConfig:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "tea.png").write_bytes(PNG)
    return PageConfig(
        address=address,
        judgements=tmp_path / "judgements.sqlite",
        image_root=photos,
        timeout_s=5,
        retry_policy=QUICK_RETRIES,
    )


def open_browser(config: PageConfig) -> TestClient:
    return TestClient(
        make_app(config), base_url="http://127.0.0.1:8080", raise_server_exceptions=False
    )


@pytest.fixture
def browser(config: PageConfig) -> Iterator[Browser]:
    with open_browser(config) as client:
        yield Browser(client)
