"""A second encoder beside the first, and a service that has both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest

from tests.server.calls import (
    serving,
    upsert,
)
from tests.server.fake_encoder import FakeEncoder
from tests.server.services.second_encoder import (
    PHOTOS,
    TEXTS,
    SecondEncoder,
)
from twinshelf.server.config import ServerConfig


@pytest.fixture
def second() -> SecondEncoder:
    return SecondEncoder()


@pytest.fixture
async def stocked(
    config: ServerConfig, encoder: FakeEncoder, second: SecondEncoder
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service with both encoders, of which the first has embedded the products."""
    async with serving(replace(config, shadow_share=1.0), encoder, second) as channel:
        await upsert(channel, [*TEXTS, *PHOTOS])
        yield channel
