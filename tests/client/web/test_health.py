"""The page of health."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.client.fake_service import ENCODER, UNAVAILABLE, FakeService, make_status
from tests.client.web.conftest import Browser, open_browser
from tests.client.web.test_live_figures import TEXT
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.web.config import PageConfig


@pytest.fixture
def metrics(request: pytest.FixtureRequest, service: FakeService) -> Iterator[Endpoint]:
    """Metrics, which count the calls of the service or not."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that the library calls
            self.send_response(200)
            self.end_headers()
            count = service.calls["GetCatalogStats"] if request.param == "its own" else 0
            counted = f'twinshelf_call_seconds_count{{method="GetCatalogStats"}} {count}\n'
            self.wfile.write(f"twinshelf_encoder_up 1\n{counted}{TEXT}".encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Endpoint(host="127.0.0.1", port=server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("metrics", ["its own"], indirect=True)
def test_health_shows_what_the_metrics_say(config: PageConfig, metrics: Endpoint) -> None:
    with open_browser(replace(config, metrics=metrics)) as client:
        text = client.get("/health").text
    assert "<b>99.0%</b> of the exact best matches" in text
    assert '<td>Get</td><td class="number">20</td>' in text
    assert '<td class="number">500.0 ms</td>' in text and "beyond measure" in text


@pytest.mark.slow
@pytest.mark.parametrize("metrics", ["another's"], indirect=True)
def test_health_shows_no_figures_of_another_service(config: PageConfig, metrics: Endpoint) -> None:
    with open_browser(replace(config, metrics=metrics)) as client:
        text = client.get("/health").text
    assert "metrics of another Twinshelf" in text and "of the exact best matches" not in text


def test_health_names_the_encoder_and_what_is_wrong(browser: Browser, service: FakeService) -> None:
    text = browser.get("/health").text
    assert ENCODER.digest in text and "<dt>encoder version</dt><dd>3</dd>" in text
    assert "embedded by another encoder, so matching is refused" in text
    assert "failed." in text


def test_health_answers_while_the_service_fails(browser: Browser, service: FakeService) -> None:
    service.failures = [UNAVAILABLE] * 99
    answer = browser.get("/health")
    assert answer.status_code == 200 and "Triton is away" in answer.text


def test_health_asks_for_a_key_that_the_service_wants(
    browser: Browser, service: FakeService
) -> None:
    assert 'name="key"' not in browser.get("/health").text
    service.failures = [make_status(16, "give an API key")] * 99
    text = browser.get("/health").text
    assert 'name="key" type="password"' in text and 'name="again" value="/health"' in text
    assert "failed." in text
