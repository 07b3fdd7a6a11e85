"""Photos are fetched once, within limits, and from public addresses only."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.client.files.tables import JPEG, read, write
from twinshelf.client.files import photo_fetch
from twinshelf.client.files.photo_fetch import PhotoFetcher
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.values.photos import PhotoError


class Shop(BaseHTTPRequestHandler):
    """Serves a photo, a redirect to it, and what must be refused."""

    asked: list[str] = []
    is_over = threading.Event()

    def do_GET(self) -> None:  # noqa: N802 - the name in the library
        """Answers by the path."""
        self.asked.append(self.path)
        if self.path == "/loop" or self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/loop" if self.path == "/loop" else "/a%20b.jpg?x=1")
            self.end_headers()
            return
        if self.path == "/drip":  # a byte of a header now and then passes every time-out
            with suppress(OSError):
                for sign in itertools.cycle(b"HTTP/1.0 200 OK\r\nX: "):
                    self.wfile.write(bytes([sign]))
                    time.sleep(0.01)
            return
        self.send_response(404 if self.path == "/gone" else 200)
        if self.path == "/torn":
            self.send_header("Content-Length", "1000")
        self.end_headers()
        page = {"/empty": b"", "/page": b"<!DOCTYPE html><p>Are you a robot?"}
        self.wfile.write(page.get(self.path, JPEG))
        if self.path == "/begun":  # the end of the photo is that of the connection
            self.is_over.wait(20)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def shop() -> Iterator[str]:
    Shop.asked = []
    Shop.is_over.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    looks = {"poll_interval": 0.01}
    threading.Thread(target=server.serve_forever, kwargs=looks, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    Shop.is_over.set()
    server.shutdown()
    server.server_close()


def test_a_photo_is_fetched_once_and_redirects_are_followed(shop: str, tmp_path: Path) -> None:
    fetcher = PhotoFetcher(tmp_path, may_be_private=True)
    for _ in range(2):
        assert fetcher.fetch(f"{shop}/moved").read_bytes() == JPEG
    assert Shop.asked == ["/moved", "/a%20b.jpg?x=1"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/gone", "answered 404"), ("/empty", "is empty"), ("/loop", "more than 5 redirects"),
     ("/torn", "broke off"), ("/page", "neither JPEG, PNG nor WebP")],
)  # fmt: skip
def test_what_cannot_be_fetched_says_why(shop: str, tmp_path: Path, path: str, reason: str) -> None:
    with pytest.raises(PhotoError, match=reason):
        PhotoFetcher(tmp_path, may_be_private=True).fetch(shop + path)
    assert not list(tmp_path.iterdir())


def test_a_photo_that_is_too_large_is_left(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_fetch, "LARGEST_PHOTO_BYTES", 5)
    with pytest.raises(PhotoError, match="larger than"):
        PhotoFetcher(tmp_path, may_be_private=True).fetch(f"{shop}/a.jpg")


@pytest.mark.slow
def test_a_server_that_drips_is_cut_off(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_fetch, "_TOTAL_TIMEOUT_S", 0.2)
    with pytest.raises(PhotoError, match="slower than"):
        PhotoFetcher(tmp_path, may_be_private=True).fetch(f"{shop}/drip")


def test_who_stops_waits_for_no_photo_and_keeps_no_half_of_one(
    shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_fetch, "_TOTAL_TIMEOUT_S", 60.0)
    lines = [f"{n},Shoe {n},{shop}/{'drip' if n % 2 else 'begun'}" for n in range(1, 40)]
    path = write(tmp_path, "\n".join(["id,title,image", "0,Shoe,", *lines]))
    fetcher = PhotoFetcher(tmp_path / "cache", may_be_private=True)
    rows = ProductFiles([path], ReadOptions(fetcher=fetcher)).rows()
    before = set(threading.enumerate())  # of other tests: some end when it pleases them
    next(rows)
    threads = [
        each
        for each in threading.enumerate()
        if each not in before and each.name.startswith("ThreadPoolExecutor")
    ]
    del rows
    for thread in threads:
        thread.join(20)
    assert threads and not any(thread.is_alive() for thread in threads)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/a.jpg", "http://localhost/a.jpg", "http://10.0.0.1/a", "http://[::1]/a",
     "http://169.254.169.254/latest", "ftp://example.com/a", "http:///a", "http://[/a"],
)  # fmt: skip
def test_addresses_that_are_not_public_are_not_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"not public|expected an http|cannot be fetched"):
        PhotoFetcher(tmp_path).fetch(url)


@pytest.mark.slow
def test_rows_take_the_first_photo_that_can_be_fetched(shop: str, tmp_path: Path) -> None:
    lines = [f"{n},Shoe {n},{shop}/{'page' if n % 2 else 'gone'}|{shop}/{n}.jpg" for n in range(50)]
    path = write(tmp_path, "\n".join(["id,title,image", *lines, f"x,,{shop}/gone"]))
    fetcher = PhotoFetcher(tmp_path / "cache", may_be_private=True)
    rows, (bad,), (finding,) = read(path, ReadOptions(fetcher=fetcher))
    assert [row.product_id for row in rows] == [str(n) for n in range(50)]
    assert all(row.main_photo is not None and row.main_photo.path is not None for row in rows)
    assert finding.startswith("51 photos could not be read") and bad.row_number == 51


def test_as_many_photos_are_fetched_as_are_wanted(shop: str, tmp_path: Path) -> None:
    names = "|".join(f"{shop}/{name}" for name in ("gone", "a.jpg", "b.jpg", "c.jpg"))
    path = write(tmp_path, f"id,title,image\n1,Shoe,{names}\n")
    fetcher = PhotoFetcher(tmp_path / "cache", may_be_private=True)
    (row,), _, _ = read(path, ReadOptions(fetcher=fetcher, photo_count=2))
    assert [photo.name[-5:] for photo in row.readable_photos] == ["a.jpg", "b.jpg"]
    assert Shop.asked == ["/gone", "/a.jpg", "/b.jpg"]
