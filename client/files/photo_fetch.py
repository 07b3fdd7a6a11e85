"""Photos fetched from the web, on request: public addresses only, bounded, kept in a cache."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import os
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from twinshelf.client.files.findings import Findings
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.rows import BadRow
from twinshelf.client.files.values.photos import LARGEST_PHOTO_BYTES, PhotoError

_MOST_REDIRECTS = 5
_FETCHED_AT_ONCE = 8
_FETCHED_AHEAD = 32
_CONNECT_TIMEOUT_S = 10.0
_TOTAL_TIMEOUT_S = 30.0
_BLOCK_BYTES = 1 << 16
# Whatever its server calls it: a page that stands in for a photo would be kept for good.
_FORMS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP", re.DOTALL)
_REDIRECTS = (301, 302, 303, 307, 308)
# What stands in a URL as itself, "%" too: it may be quoted already.
_SAFE = "/?&=%:,;+@~!$'()*"
_HEADERS = {"User-Agent": "twinshelf", "Accept": "image/jpeg, image/png, image/webp"}


class PhotoFetcher:
    """Fetches photos once; what was fetched is read from its file ever after."""

    def __init__(self, folder: Path, *, may_be_private: bool = False) -> None:
        """Names the cache.

        Args:
            folder: Where photos are kept, named by the digest of their URL; made when missing.
            may_be_private: Whether addresses inside of a network are allowed; for tests alone,
                because a table from outside must not reach what only this machine can.
        """
        self._folder = folder
        self._may_be_private = may_be_private
        self._tls = ssl.create_default_context()
        self._connections: set[socket.socket] = set()

    def cut_off(self) -> None:
        """Ends what is being fetched, for who waits for it no longer."""
        for descriptor in tuple(self._connections):
            _shut(descriptor)

    def fetch(self, url: str, is_over: threading.Event | None = None) -> Path:
        """Returns the file of a photo, fetched unless it is there.

        Args:
            url: http or https.
            is_over: Set before `cut_off`, by who waits for it no longer.

        Raises:
            PhotoError: If it cannot be fetched, is too large, too slow or no photo, or its address
                is none of the public internet.
        """
        if url.startswith("//"):
            url = f"https:{url}"
        path = self._folder / hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
        if path.is_file():
            return path
        deadline_s = time.monotonic() + _TOTAL_TIMEOUT_S
        try:
            data = self._follow(url, deadline_s, is_over or threading.Event())
        except (OSError, http.client.HTTPException, ValueError) as error:
            is_late = time.monotonic() > deadline_s
            reason = f"slower than {_TOTAL_TIMEOUT_S:g} seconds" if is_late else error
            raise PhotoError(f"the photo {url[:120]} cannot be fetched: {reason}") from None
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.{id(data)}.partial")
        partial.write_bytes(data)
        os.replace(partial, path)
        return path

    def _follow(self, url: str, deadline_s: float, is_over: threading.Event) -> bytes:
        for _ in range(_MOST_REDIRECTS + 1):
            parts = urlsplit(url)
            with self._connected(parts, deadline_s, is_over) as connection:
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request("GET", quote(target, safe=_SAFE), headers=_HEADERS)
                with connection.getresponse() as response:
                    location = response.getheader("Location")
                    if response.status in _REDIRECTS and location:
                        url = urljoin(url, location)
                        continue
                    if response.status != 200:
                        raise PhotoError(f"the server answered {response.status}")
                    return _read_within(response, deadline_s)
        raise PhotoError(f"more than {_MOST_REDIRECTS} redirects")

    @contextmanager
    def _connected(
        self, parts: SplitResult, deadline_s: float, is_over: threading.Event
    ) -> Iterator[http.client.HTTPConnection]:
        """Connects to an address that was looked at: a second look-up might name another one.

        At the deadline the connection is cut: a server that sends a byte now and then passes every
        time-out of the socket.
        """
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PhotoError("expected an http or https URL")
        is_tls = parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            if not (self._may_be_private or ipaddress.ip_address(address.split("%")[0]).is_global):
                raise PhotoError(f"{parts.hostname} has the address {address}, which is not public")
        plain = socket.create_connection((addresses[0], port), timeout=_CONNECT_TIMEOUT_S)
        descriptor = socket.socket(fileno=os.dup(plain.fileno()))  # TLS takes the other one over
        cut = threading.Timer(deadline_s - time.monotonic(), _shut, [descriptor])
        cut.daemon = True
        cut.start()
        self._connections.add(descriptor)
        connection = http.client.HTTPConnection(parts.hostname, port, timeout=_CONNECT_TIMEOUT_S)
        connection.sock = plain
        try:
            _check_awaited(is_over)  # while it connected, there was nothing to cut off
            if is_tls:
                connection.sock = self._tls.wrap_socket(plain, server_hostname=parts.hostname)
            yield connection
            _check_awaited(is_over)  # what was read is only the beginning
        finally:
            cut.cancel()
            self._connections.discard(descriptor)
            connection.close()
            descriptor.close()


def _check_awaited(is_over: threading.Event) -> None:
    if is_over.is_set():
        raise PhotoError("nobody waits for it any longer")


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):  # it has ended already
        connected.shutdown(socket.SHUT_RDWR)


def _read_within(response: http.client.HTTPResponse, deadline_s: float) -> bytes:
    blocks: list[bytes] = []
    byte_count = 0
    while block := response.read1(_BLOCK_BYTES):
        blocks.append(block)
        byte_count += len(block)
        if byte_count > LARGEST_PHOTO_BYTES:
            raise PhotoError(f"larger than {LARGEST_PHOTO_BYTES // 1024**2} MiB")
    if time.monotonic() > deadline_s:  # what was read is only the beginning
        raise PhotoError(f"slower than {_TOTAL_TIMEOUT_S:g} seconds")
    if response.length:  # of which `read1` says nothing
        raise PhotoError(f"the answer broke off {response.length} bytes before its end")
    if not blocks:
        raise PhotoError("the answer is empty")
    data = b"".join(blocks)
    if not _FORMS.match(data):
        raise PhotoError("the answer is neither JPEG, PNG nor WebP")
    return data


def fetch_photos(
    rows: Iterator[ProductRow | BadRow], fetcher: PhotoFetcher, photo_count: int, findings: Findings
) -> Iterator[ProductRow | BadRow]:
    """Yields rows in their order with their photos, fetched for a few rows at once.

    Args:
        rows: As a table has them.
        fetcher: Fetches what is a URL.
        photo_count: Photos of a row that are wanted; no more are fetched.
        findings: Count what cannot be fetched.
    """
    pool, is_over = ThreadPoolExecutor(_FETCHED_AT_ONCE), threading.Event()
    ahead = (pool.submit(_with_photos, row, fetcher, photo_count, is_over) for row in rows)
    try:
        waiting = deque(islice(ahead, _FETCHED_AHEAD))
        while waiting:
            row, reasons = waiting.popleft().result()
            for reason in reasons:
                findings.add("photo", reason)
            yield row
            waiting.extend(islice(ahead, 1))
    finally:  # of all rows, or by Ctrl-C, which must not wait for the photos of rows ahead
        is_over.set()
        pool.shutdown(wait=False, cancel_futures=True)
        fetcher.cut_off()


def _with_photos(
    row: ProductRow | BadRow, fetcher: PhotoFetcher, photo_count: int, is_over: threading.Event
) -> tuple[ProductRow | BadRow, list[str]]:
    """Fetches photos until the row has as many that can be read as are wanted, or all is over."""
    reasons: list[str] = []
    if isinstance(row, BadRow):
        return row, reasons
    photos = list(row.photos)
    found_count = 0
    for place, photo in enumerate(row.photos):
        if found_count == photo_count or is_over.is_set():
            break
        if photo.is_url and not photo.is_readable:
            try:
                photos[place] = replace(photo, path=fetcher.fetch(photo.name, is_over))
            except PhotoError as error:
                reasons.append(str(error))
        found_count += photos[place].is_readable
    return replace(row, photos=tuple(photos)), reasons
