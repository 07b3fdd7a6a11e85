"""What the loads send is what it is called."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.soak.attacks import bomb
from tests.soak.broken_offers import BrokenOffer, broken_offers, match_request, stream_request
from twinshelf.v1 import matching_service_pb2


def test_there_are_twenty_ways_and_more_to_break_an_offer() -> None:
    ways = [offer.way for offer in broken_offers()]
    assert len(set(ways)) == len(ways) >= 20


def test_a_bomb_is_small_and_decodes_to_nearly_forty_megapixels() -> None:
    data = bomb()
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (6300, 6300)
        image.seek(2)
        with pytest.raises(EOFError):
            image.seek(3)
    assert len(data) < 200


@pytest.mark.parametrize("offer", broken_offers(), ids=lambda offer: offer.way)
def test_a_request_written_by_hand_is_the_message(offer: BrokenOffer) -> None:
    body = match_request(offer.image, offer.text, 7)
    if not offer.is_message:
        with pytest.raises(Exception, match="parsing"):
            matching_service_pb2.MatchProductRequest.FromString(body)
        return
    request = matching_service_pb2.MatchProductRequest.FromString(body)
    assert (request.offer.image, request.offer.title.encode()) == (offer.image, offer.text)
    assert request.match_count == 7
    streamed = matching_service_pb2.MatchProductsRequest.FromString(stream_request("a", body))
    assert (streamed.request_id, streamed.request) == ("a", request)
