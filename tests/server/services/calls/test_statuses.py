"""From errors to statuses: one code for every kind, and nothing too long for a header."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest
from google.rpc import code_pb2, error_details_pb2

from tests.server.calls import detail
from twinshelf.server import errors
from twinshelf.server.errors import (
    InvalidRequestError,
    ProductNotFoundError,
    RateLimitedError,
    TwinshelfError,
)
from twinshelf.server.services.calls.statuses import CODES, status_of


def all_kinds(kind: type[TwinshelfError] = TwinshelfError) -> list[type[TwinshelfError]]:
    return [each for child in kind.__subclasses__() for each in (child, *all_kinds(child))]


def test_every_kind_of_error_has_a_code_and_a_reason_of_its_own() -> None:
    assert set(CODES) == set(all_kinds())
    assert len({kind.reason for kind in CODES}) == len(CODES)
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert name.endswith("Error")


def test_an_invalid_request_names_its_field() -> None:
    status = status_of(InvalidRequestError("too large", field="offer.image"), "id")
    bad = detail(status, error_details_pb2.BadRequest)
    assert bad.field_violations[0].field == "offer.image"
    assert bad.field_violations[0].description == status.message == "too large"
    assert detail(status, error_details_pb2.RequestInfo).request_id == "id"


def test_facts_go_into_the_error_info() -> None:
    status = status_of(ProductNotFoundError("gone", facts={"product_id": "p"}), "id")
    info = detail(status, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("PRODUCT_NOT_FOUND", "twinshelf.v1")
    assert dict(info.metadata) == {"product_id": "p"}


def test_unknown_errors_are_told_by_request_id_only(caplog: pytest.LogCaptureFixture) -> None:
    status = status_of(KeyError("a secret"), "some-id")
    assert status.code == code_pb2.INTERNAL
    assert "some-id" in status.message
    assert "secret" not in str(status)
    assert "a secret" in caplog.text


@pytest.mark.parametrize(
    ("retry_after_s", "told_s"), [(0.0004, 0.001), (9.5, 9.5), (1e300, 86_400)]
)
def test_nobody_is_told_to_wait_longer_than_a_day(retry_after_s: float, told_s: float) -> None:
    status = status_of(RateLimitedError("later", retry_after_s=retry_after_s), "id")
    delay = detail(status, error_details_pb2.RetryInfo).retry_delay
    assert delay.ToTimedelta().total_seconds() == told_s


@pytest.mark.parametrize("letter", ["o", "\x01", "я", "日", "😀"])
def test_a_status_fits_into_the_headers_that_carry_it(letter: str) -> None:
    long = letter * 100_000
    error = InvalidRequestError(long, field=long, facts={str(i): long for i in range(4)})
    status = status_of(error, "id")
    assert status.message == letter * (len(status.message) - 1) + "…"
    headers_bytes = len(quote(status.message)) + len(b64encode(status.SerializeToString()))
    assert headers_bytes < 8 * 1024 - 300  # names, code and content type
