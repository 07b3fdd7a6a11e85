"""The page of health."""

from __future__ import annotations

from tests.client.fake_service import ENCODER, UNAVAILABLE, FakeService
from tests.client.web.conftest import Browser


def test_health_names_the_encoder_and_what_is_wrong(browser: Browser, service: FakeService) -> None:
    text = browser.get("/health").text
    assert ENCODER.digest in text and "<dt>encoder version</dt><dd>3</dd>" in text
    assert "embedded by another encoder, so matching is refused" in text
    assert "failed." in text


def test_health_answers_while_the_service_fails(browser: Browser, service: FakeService) -> None:
    service.failures = [UNAVAILABLE] * 99
    answer = browser.get("/health")
    assert answer.status_code == 200 and "Triton is away" in answer.text
