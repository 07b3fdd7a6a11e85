"""A rolling update of the service and of the encoder on a real Milvus, without a failed call.

Two matching servers, each a process of its own, share a catalogue; a client of both calls all the
while. The figures are logged:

make test-milvus ARGS='-k rolling --log-cli-level=info'
"""

from __future__ import annotations

import asyncio
import faulthandler
import itertools
import logging
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import pytest

from tests.cluster.processes import free_ports
from tests.cluster.traffic import CountingPolicy
from tests.milvus.replaced_server import WAIT_LIMIT_S, ReplacedServer, wait_until
from tests.server.fake_encoder import contract_json, digest_of
from tests.server.fake_triton import FakeTriton
from twinshelf.client.errors import PreconditionError
from twinshelf.client.records import Offer, Product
from twinshelf.client.sync_client import Client

pytestmark = pytest.mark.milvus
logger = logging.getLogger(__name__)
# Embeddings of different lengths: what one encoder made, the other cannot be compared with.
CONTRACTS: Final = (
    contract_json("first", 1),
    contract_json("second", 2, image_dim=24, text_dim=24, embedding_dim=48),
)
FIRST, SECOND = digest_of("first"), digest_of("second")
KNOWN: Final = [Product(product_id=f"known {n}", title=f"known title {n}") for n in range(300)]
WRITES_AT_ONCE: Final = 4
# Others' writes are seen when `Bounded` reads come so far.
SEEN_WITHIN_S: Final = 6.0
TEST_LIMIT_S: Final = 150.0


class Traffic:
    """Threads that match, read and write by one client until the block ends.

    Attributes:
        calls: Seconds of each call that was answered rightly, by kind.
        faults: What failed or was answered wrongly, in words.
        titles: What was acknowledged last of each product that was written.
        digests: Answers by the digest of the encoder.
    """

    def __init__(self, address: str) -> None:
        self.calls: dict[str, list[float]] = {"match": [], "get": [], "write": []}
        self.faults: list[str] = []
        self.titles: dict[str, str] = {}
        self.digests: Counter[str] = Counter()
        policy = CountingPolicy()
        self.repeats = policy.failures
        self._client = Client(address, retry_policy=policy)
        self._is_over = threading.Event()
        jobs = [("match", self._match), ("match", self._match), ("get", self._get)]
        jobs += [("write", self._write)]
        self._threads = [
            threading.Thread(target=self._repeat, args=(kind, job, start), daemon=True)
            for start, (kind, job) in enumerate(jobs)
        ]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(WAIT_LIMIT_S)
        if any(thread.is_alive() for thread in self._threads):
            faulthandler.dump_traceback()
            self.faults.append("a call has not returned")
        for fault in self.faults[:20]:
            logger.error("%s", fault)
        self._client.close()

    def _repeat(self, kind: str, job: Callable[[int], str], start: int) -> None:
        for number in itertools.count(start):
            if self._is_over.wait(0.02):
                return
            begun_s = time.monotonic()
            try:
                fault = job(number)
            except Exception as error:
                fault = f"{type(error).__name__}: {error} ({getattr(error, 'reason', '')})"
            if fault:
                took_s = time.monotonic() - begun_s
                self.faults.append(f"{time.strftime('%X')} {kind}, after {took_s:.1f} s: {fault}")
            else:
                self.calls[kind].append(time.monotonic() - begun_s)

    def _match(self, number: int) -> str:
        wanted = KNOWN[number * 7 % len(KNOWN)]
        result = self._client.match(Offer(title=wanted.title))
        self.digests[result.encoder.digest] += 1
        first = result.matches[0].product.product_id if result.matches else None
        return "" if first == wanted.product_id else f"{first!r}, not {wanted.product_id!r}"

    def _get(self, number: int) -> str:
        wanted = KNOWN[number * 11 % len(KNOWN)]
        found = self._client.get(wanted.product_id).product
        return "" if found.title == wanted.title else f"{found}, not {wanted}"

    def _write(self, number: int) -> str:
        """Writes products, of which there are some already, with titles of their own."""
        ids = [f"written {(number + 3 * n) % 100}" for n in range(WRITES_AT_ONCE)]
        products = [Product(product_id=each, title=f"{each}, {number}") for each in ids]
        errors = []
        for answer in self._client.upsert(products):
            if answer.error is None:
                self.titles[answer.product_id] = products[answer.product_index].title
            else:
                errors.append(answer.error)
        return f"{errors}" if errors else ""


def serve_tritons(test: Connection) -> None:
    """Stands for two Tritons, each with a version of the encoder, until the test has ended."""

    async def serve() -> None:
        tritons = [FakeTriton() for _ in CONTRACTS]
        for triton, contract in zip(tritons, CONTRACTS, strict=True):
            triton.serve(contract)
            await triton.start()
        test.send([f"127.0.0.1:{triton.port}" for triton in tritons])
        with suppress(EOFError):
            await asyncio.to_thread(test.recv)
        for triton in tritons:
            await triton.stop()

    asyncio.run(serve())


@pytest.fixture
def tritons() -> Iterator[list[str]]:
    """Addresses of the two."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_tritons, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    assert ours.poll(WAIT_LIMIT_S), "the encoders did not start"
    yield ours.recv()
    ours.close()
    process.join(WAIT_LIMIT_S)
    process.kill()


def test_service_and_encoder_are_replaced_without_a_failed_call(
    milvus_place: str, tritons: list[str], tmp_path: Path
) -> None:
    servers = [
        ReplacedServer(f"127.0.0.1:{port}", milvus_place, tmp_path / f"{port}.log")
        for port in free_ports(2)
    ]
    with ExitStack() as stack:
        faulthandler.dump_traceback_later(TEST_LIMIT_S, exit=True)
        stack.callback(faulthandler.cancel_dump_traceback_later)
        for server in servers:
            stack.callback(server.kill)
            server.start(*tritons)
        both = stack.enter_context(
            Client("ipv4:" + ",".join(server.address for server in servers), timeout_s=WAIT_LIMIT_S)
        )
        each = [stack.enter_context(Client(s.address, timeout_s=WAIT_LIMIT_S)) for s in servers]
        assert not [answer.error for answer in both.upsert(KNOWN) if answer.error]
        time.sleep(SEEN_WITHIN_S)
        with Traffic(both.address) as traffic:
            begun_s = time.monotonic()
            replace(servers, tritons)
            both.encoders.reindex(SECOND)
            wait_until(lambda: is_embedded(both, SECOND), "was not embedded anew", *servers)
            wait_until(lambda: is_switched(both, SECOND), "was not switched", *servers)
            wait_until(lambda: serving(each) == {SECOND}, "has not switched", *servers)
            replace(servers, tritons[1:])
            took_s = time.monotonic() - begun_s
        logger.info(
            "%s calls in %.0f s, %d failed or wrong, attempts repeated %s, the longest took %s s",
            {kind: len(seconds) for kind, seconds in traffic.calls.items()},
            took_s,
            len(traffic.faults),
            dict(traffic.repeats),
            {kind: round(max(seconds), 2) for kind, seconds in traffic.calls.items() if seconds},
        )
        assert not traffic.faults, "\n".join(server.report() for server in servers)
        assert traffic.digests.keys() == {FIRST, SECOND}
        assert serving(each) == {SECOND}
        time.sleep(SEEN_WITHIN_S)
        assert not lost(each, traffic.titles)


def replace(servers: Sequence[ReplacedServer], tritons: Sequence[str]) -> None:
    """Replaces one server after the other; the next one only when the new one is ready."""
    for server in servers:
        server.stop()
        server.start(*tritons)


def is_embedded(client: Client, digest: str) -> bool:
    """Tells whether an encoder has embedded the whole catalogue, by the server that is asked."""
    states = client.encoders.list()
    return any(s.encoder.digest == digest and not s.missing_product_count for s in states)


def is_switched(client: Client, digest: str) -> bool:
    """Switches to an encoder, unless a product that another server has just written lacks it."""
    with suppress(PreconditionError):
        return client.encoders.switch(digest).serving.digest == digest
    return False


def serving(clients: Sequence[Client]) -> set[str]:
    """Returns the digests that the servers answer with."""
    return {c.match(Offer(title=KNOWN[0].title)).encoder.digest for c in clients}


def lost(clients: Sequence[Client], titles: dict[str, str]) -> list[str]:
    """Tells of the products that a server does not find first by the title acknowledged last."""
    found = []
    for client, (product_id, title) in itertools.product(clients, titles.items()):
        matches = client.match(Offer(title=title)).matches
        first = matches[0].product if matches else None
        if first is None or (first.product_id, first.title) != (product_id, title):
            shown = client.get(product_id).product.title
            found.append(f"{client.address}: {title!r} finds {first}; {product_id!r} is {shown!r}")
    return found
