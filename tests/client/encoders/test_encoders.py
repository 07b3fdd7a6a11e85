"""The encoders of both clients, and `twinshelf encoders`, against a real service."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from PIL import Image

from tests.server.fake_encoder import FakeEncoder, digest_of, make_contract
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.cli import main
from twinshelf.client.commands import encoders_command
from twinshelf.client.encoders.async_encoders import AsyncEncoders
from twinshelf.client.encoders.conversions import encoder_state
from twinshelf.client.encoders.sync_encoders import Encoders
from twinshelf.client.errors import (
    EncoderNotFoundError,
    PreconditionError,
    ProductNotFoundError,
)
from twinshelf.client.records import MatchOptions, Offer, Product
from twinshelf.client.sync_client import Client
from twinshelf.server.config import ServerConfig
from twinshelf.server.serving import create_server
from twinshelf.v1 import encoder_service_pb2 as pb

TEXT, PHOTO = "text", "photo"
PHOTOS = Product(product_id=PHOTO, image=b"x", further_images=(b"y",))


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """A service with two encoders, of which the first has embedded two products."""
    config = ServerConfig(
        address="127.0.0.1:0",
        catalogue=tmp_path / "catalogue",
        metrics_address="",
        canary_interval_s=60,
        watch_interval_s=0.05,
        drain_timeout_s=5,
    )
    second = FakeEncoder(make_contract("second", 2))
    server, port = await create_server(config, FakeEncoder(), second)
    async with AsyncClient(f"127.0.0.1:{port}") as client:
        products = [Product(product_id=TEXT, title="lamp"), PHOTOS]
        assert [answer.error async for answer in client.upsert(products)] == [None, None]
        while not (await client.encoders.list())[0].is_serving:  # until the first look is over
            await asyncio.sleep(0.01)
    yield f"127.0.0.1:{port}"
    await server.stop()


@pytest.mark.slow
async def test_a_switch_to_another_version_of_one_digest_says_that_nothing_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ServerConfig(
        address="127.0.0.1:0", catalogue=tmp_path / "catalogue", metrics_address=""
    )
    same = FakeEncoder(make_contract("first", 2))
    server, port = await create_server(config, FakeEncoder(), same)
    words = ("encoders", "switch", "--address", f"127.0.0.1:{port}")
    async with AsyncClient(f"127.0.0.1:{port}") as client:
        made = await client.encoders.switch(2)
    assert made.serving == made.previous and made.serving.version == 1
    for version, said in (("1", "serves already, sha256:"), ("2", "version 2 is the same encoder")):
        assert await asyncio.to_thread(main, [*words, version]) == 0
        out = capsys.readouterr().out
        assert out.startswith("nothing changed: version 1 serves already") and said in out
    await server.stop()


def change_encoder(address: str) -> None:
    """Does with the client of ordinary code what an operator does to encoders."""
    with Client(address) as client:
        first, second = client.encoders.list()
        assert (first.is_serving, first.embedded_product_count) == (True, 2)
        assert (second.is_kept, second.missing_product_count) == (False, 2)
        with pytest.raises(PreconditionError):
            client.encoders.switch(2)
        assert client.encoders.reindex(2).encoder.digest == digest_of("second")
        sent = [PHOTOS, Product(product_id="gone", image=b"x")]
        found = client.encoders.reindex_products(sent)
        answers = sorted(found, key=lambda answer: answer.product_index)
        assert answers[0].error is None and not answers[0].was_embedded
        assert isinstance(answers[1].error, ProductNotFoundError)
        while client.encoders.list()[1].missing_product_count:
            pass
        pinned = client.match(Offer(title="lamp"), MatchOptions(encoder_version=2))
        assert pinned.encoder.version == 2
        assert client.encoders.compare().other == pinned.encoder
        made = client.encoders.switch(digest_of("second"))
        assert (made.previous.version, made.serving.version) == (1, 2)
        assert client.match(Offer(title="lamp")).encoder.version == 2
        assert client.encoders.drop(1) == 2
        with pytest.raises(EncoderNotFoundError):
            client.encoders.drop(3)


@pytest.mark.slow
async def test_the_client_changes_the_encoder(address: str) -> None:
    await asyncio.to_thread(change_encoder, address)


@pytest.mark.slow
async def test_the_client_for_asyncio_does_the_same(address: str) -> None:
    async with AsyncClient(address) as client:
        await client.encoders.reindex(2)
        assert [a.error async for a in client.encoders.reindex_products([PHOTOS])] == [None]
        while (await client.encoders.list())[1].missing_product_count:
            await asyncio.sleep(0.01)
        assert (await client.encoders.compare()).query_count == 0
        assert (await client.encoders.switch(2)).serving.version == 2
        assert await client.encoders.drop(digest_of("first")) == 2


def test_both_clients_have_the_same_methods() -> None:
    for name, method in inspect.getmembers(Encoders, inspect.isfunction):
        if not name.startswith("_"):
            other = getattr(AsyncEncoders, name)
            assert list(inspect.signature(method).parameters) == list(
                inspect.signature(other).parameters
            )


def test_following_an_encoder_that_is_not_reached_says_once_that_it_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(encoders_command, "LOOK_INTERVAL_S", 0)
    states = [
        encoder_state(
            pb.EncoderState(
                is_reached=is_reached, embedded_product_count=count, missing_product_count=4 - count
            )
        )
        for is_reached, count in ((True, 0), (False, 1), (False, 1), (True, 2), (True, 4))
    ]
    client = Mock()
    client.encoders.reindex.return_value = states[0]
    client.encoders.list.side_effect = [[state] for state in states[1:]]
    monkeypatch.setattr("twinshelf.client.sync_client.Client.__enter__", lambda _: client)
    assert main(["encoders", "reindex", "2", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("the service does not reach the encoder: waiting for it") == 1
    assert json.loads(captured.out)["embedded_product_count"] == 4


def run_commands(address: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs the commands in their order."""

    def run(*words: str, status: int = 0) -> tuple[str, str]:
        assert main([*words, "--address", address]) == status, capsys.readouterr()
        captured = capsys.readouterr()
        return captured.out, captured.err

    def run_json(*words: str) -> Any:
        return [json.loads(line) for line in run(*words, "--json")[0].splitlines()]

    (folder / "photos.csv").write_text(f"id,image\n{PHOTO},x.png\n")
    for form in ((), ("--json",)):
        out, err = run("index", str(folder / "photos.csv"), "--reindex", *form, status=1)
        assert "begin with `twinshelf encoders reindex ENCODER`" in err and "failed" not in out
    out, err = run("encoders", "reindex", "2")
    assert "kept" in out and "twinshelf index FILE --reindex" in err
    for name in ("x", "y"):
        Image.new("RGB", (4, 4)).save(folder / f"{name}.png")
    (folder / "file.csv").write_text(
        f"id,title,image,image_2\n{PHOTO},cup,x.png,y.png\n{TEXT},lamp,,\n"
    )
    out, _ = run("index", str(folder / "file.csv"), "--reindex", status=1)
    assert "must be 1, got 0" in " ".join(out.split())
    out, _ = run("index", str(folder / "file.csv"), "--reindex", "--photos", "2")
    assert "2 products embedded, 1 of them before; 0 rows failed" in out
    states = run_json("encoders", "list")
    assert [state["missing_product_count"] for state in states] == [0, 0]
    assert "version 2 beside version 1, 0 offers" in run("encoders", "compare")[0]
    found = run_json("match", "--title", "lamp", "--encoder", "2")
    assert found[0]["encoder"]["version"] == 2
    prefix = digest_of("second").removeprefix("sha256:")[:12]
    assert run_json("encoders", "switch", prefix)[0]["serving"]["version"] == 2
    assert "version 1 serves" in run("encoders", "switch", "1")[0]
    assert "vectors of 2 products removed" in run("encoders", "drop", "2")[0]
    assert "must begin one of" in run("encoders", "switch", "nothing", status=2)[1]
    _, err = run("encoders", "drop", "1", status=1)
    assert "serves; it cannot be dropped" in err


@pytest.mark.slow
async def test_the_commands_change_the_encoder(
    address: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    await asyncio.to_thread(run_commands, address, tmp_path, capsys)
