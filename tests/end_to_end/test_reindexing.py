"""A new encoder without a gap: two published versions, two real Tritons, one service under load."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tritonclient.grpc import InferenceServerClient

from tests.end_to_end.conftest import ROOT, wait_for_address
from tests.model_repository.tiny_repository import WORDS, publish_tiny_version
from tests.model_repository.triton_calls import photo
from twinshelf.client.errors import ServiceUnavailableError
from twinshelf.client.records import MatchOptions, Offer, Product
from twinshelf.client.sync_client import Client
from twinshelf.server.triton.process import TritonServer
from twinshelf.server.triton.triton_config import TritonConfig

TEXT_COUNT = 300
PHOTOS = [
    Product(
        product_id=f"photo {n}",
        image=photo(20 + 7 * n, 30 + 5 * n),
        further_images=(photo(40, 50 + n),) * (n % 3),
    )
    for n in range(4)
]


def title(number: int) -> str:
    """Words that the tiny tokenizer knows, other ones for each number."""
    return " ".join(WORDS[number // 14**place % 14] for place in range(3))


TEXTS = [Product(product_id=f"text {n}", title=title(n)) for n in range(TEXT_COUNT)]


@pytest.fixture(scope="module")
def tritons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[TritonServer]]:
    """A Triton with version 1, and one with version 2."""
    repository = tmp_path_factory.mktemp("versions")
    with ExitStack() as stack:
        servers = []
        for version in (1, 2):
            publish_tiny_version(repository, version)
            config = TritonConfig(model_repository=repository, version=version)
            servers.append(stack.enter_context(TritonServer(config)))
        yield servers


@contextmanager
def service(tritons: list[TritonServer], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the service of the folder's catalogue before both Tritons, and kills it in the end."""
    first, second = (triton.grpc_address for triton in tritons)
    command = [sys.executable, "-m", "server", "--triton", first, "--other-triton", second]
    command += ["--address", "127.0.0.1:0", "--catalogue", str(folder / "catalogue")]
    command += ["--metrics-address", "", "--watch-interval-s", "0.2", "--shadow-share", "0"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def load(address: str) -> Iterator[Counter[int]]:
    """Matches from two threads while the block runs; counts the answers by encoder version."""
    versions: Counter[int] = Counter()
    failures: list[BaseException] = []
    is_over = threading.Event()

    def ask(start: int) -> None:
        number = start
        try:
            with Client(address) as client:
                while not is_over.is_set():
                    number += 1
                    offer = Offer(title=title(number % TEXT_COUNT))
                    found = client.match(offer, MatchOptions(match_count=20))
                    # By another encoder's vectors, it would hardly be among the first.
                    scores = {m.product.product_id: m.score for m in found.matches}
                    score = scores.get(f"text {number % TEXT_COUNT}", 0.0)
                    assert score == pytest.approx(1, abs=2e-3), (offer, found)  # fp16
                    versions[found.encoder.version] += 1
        except BaseException as error:
            failures.append(error)
            versions.update({1: 1_000_000, 2: 1_000_000})  # whoever waits for more is let go

    threads = [threading.Thread(target=ask, args=(start,)) for start in (0, 150)]
    for thread in threads:
        thread.start()
    try:
        yield versions
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert not failures


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until something is so; fails when it does not come about."""
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, "did not come about in time"
        time.sleep(0.02)


def text_count(triton: TritonServer) -> int:
    """Counts the texts that a Triton has embedded."""
    with InferenceServerClient(triton.grpc_address) as client:
        statistics = client.get_inference_statistics("text_tower")
    return int(statistics.model_stats[0].inference_stats.success.count)


def store(client: Client) -> None:
    """Stores the products, once the service serves."""
    products = [*TEXTS, *PHOTOS]
    assert [answer.error for answer in client.upsert(products)] == [None] * len(products)


@pytest.mark.slow
@pytest.mark.triton
def test_a_new_version_takes_over_and_goes_back_under_load(
    tritons: list[TritonServer], tmp_path: Path
) -> None:
    before = text_count(tritons[1])
    with service(tritons, tmp_path) as process:
        with Client(wait_for_address(process, tmp_path / "log"), timeout_s=30) as client:
            store(client)
            client.encoders.reindex(2)
            wait_until(lambda: client.encoders.list()[1].embedded_product_count >= 40)
            process.kill()  # -9, in the middle
            with pytest.raises(ServiceUnavailableError):
                client.encoders.list(timeout_s=0.5)
    interrupted = text_count(tritons[1]) - before
    assert interrupted < TEXT_COUNT
    with service(tritons, tmp_path) as process:
        address = wait_for_address(process, tmp_path / "log")
        with Client(address, timeout_s=30) as client, load(address) as versions:
            # Nobody asks for it again.
            wait_until(lambda: client.encoders.list()[1].missing_product_count == len(PHOTOS))
            # What was embedded and waited to be stored is embedded twice, and nothing else.
            assert text_count(tritons[1]) - before <= TEXT_COUNT + interrupted // 2
            assert [a.error for a in client.encoders.reindex_products(PHOTOS)] == [None] * 4
            for version in (2, 1, 2):
                client.encoders.switch(version)
                seen = versions[version]
                wait_until(lambda: versions[version] > seen + 20)  # noqa: B023 - called at once
            pinned = client.match(Offer(image=PHOTOS[0].image), MatchOptions(encoder_version=1))
            assert pinned.encoder.version == 1
            assert pinned.matches[0].product.product_id == "photo 0"
            assert client.encoders.drop(1) == len(TEXTS) + len(PHOTOS)
            assert client.stats().stale_product_count == 0
        assert set(versions) == {1, 2}
