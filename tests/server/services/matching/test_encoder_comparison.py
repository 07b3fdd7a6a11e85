"""What is compared of live matches."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

from tests.server.fake_encoder import make_contract
from twinshelf.server.services.matching.encoder_comparison import EncoderComparison
from twinshelf.v1.matching_service_pb2 import MatchProductRequest

SERVING, OTHER = make_contract(), make_contract("second", 2)


async def test_a_request_is_compared_as_it_was_however_it_is_changed_then() -> None:
    asked: list[MatchProductRequest] = []
    result: Any = SimpleNamespace(
        found=SimpleNamespace(contract=SERVING, page=SimpleNamespace(hits=()))
    )

    async def answer(request: MatchProductRequest, **_: object) -> Any:
        asked.append(request)
        return result

    parts: dict[str, Any] = {
        "matcher": SimpleNamespace(match=answer),
        "encoders": SimpleNamespace(contract=SERVING, beside=lambda: [OTHER]),
        "catalogue": SimpleNamespace(
            encoders=SimpleNamespace(kept={OTHER.digest}, count_missing=lambda digest: 0)
        ),
    }
    comparison = EncoderComparison(**parts, share=1.0, randomness=random.Random(1))
    request = MatchProductRequest(match_count=60)
    comparison.consider(request, result)
    request.page_token = "the next page"
    while not asked:
        await asyncio.sleep(0)
    assert asked[0] == MatchProductRequest(match_count=60, encoder_digest=OTHER.digest)
    await comparison.close()
