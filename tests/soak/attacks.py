"""The hostile clients: each is a coroutine that bothers a service until a moment.

python -m tests.soak.attacks 127.0.0.1:50051 large_photos bombs --seconds 20

They run in a process of their own, so that the well-behaved caller shares no lock with them, and
speak through `wire`, as they must do what no gRPC library allows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tests.soak import frames
from tests.soak.load import CODE_NAMES, MATCH, ask, connections
from tests.soak.offers import photo
from tests.soak.wire import WireConnection, connect
from twinshelf.v1 import matching_service_pb2, product_pb2

MATCH_STREAM: Final = "/twinshelf.v1.MatchingService/MatchProducts"
PHOTO_BYTES: Final = 16 * 1024 * 1024
# Larger than a photo may be, and just small enough for gRPC to hand its message over.
READ_BYTES: Final = 12 * 1024 * 1024
# As patient as a caller that does not care: longer than any load lasts.
PATIENCE_S: Final = 60.0
# To close connections of which a busy service may not hear.
LATE_S: Final = 5.0
Codes = Counter[str]


def request(
    *, title: str = "", image: bytes = b"", match_count: int = 10
) -> matching_service_pb2.MatchProductRequest:
    """Returns the message of one offer."""
    offer = product_pb2.Offer(title=title, image=image)
    return matching_service_pb2.MatchProductRequest(offer=offer, match_count=match_count)


def bomb(side_px: int = 6300, frame_count: int = 3) -> bytes:
    """Returns an animated WebP of 200 bytes at most that decodes to side_px squared pixels."""
    size = struct.pack("<I", side_px - 1)[:3] * 2
    # A lossless picture of a single colour: its size in 14 bits each, and prefix codes of 0 bits.
    shape = (side_px - 1) | (side_px - 1) << 14
    pixels = b"\x2f" + struct.pack("<I", shape) + b"\x07\x10\x11\xfd\x0f\x44\x44\xff\x03"
    animation = b""
    for _ in range(frame_count):
        head = bytes(6) + size + bytes(3) + b"\x02"
        animation += _chunk(b"ANMF", head + _chunk(b"VP8L", pixels))
    body = _chunk(b"VP8X", b"\x02\0\0\0" + size) + _chunk(b"ANIM", bytes(6)) + animation
    return _chunk(b"RIFF", b"WEBP" + body)


async def large_photos(address: str, end_s: float, codes: Codes) -> None:
    """64 callers send photos of 16 MB, again and again."""
    await _callers(address, _photo_message(PHOTO_BYTES), 64, end_s, codes)


async def largest_messages(address: str, end_s: float, codes: Codes) -> None:
    """64 callers send messages as large as the service reads them, again and again."""
    await _callers(address, _photo_message(READ_BYTES), 64, end_s, codes)


async def large_streams(address: str, end_s: float, codes: Codes) -> None:
    """32 streams send messages as large as the service reads them, again and again."""
    offer = request(image=_padded(READ_BYTES))
    each = matching_service_pb2.MatchProductsRequest(request=offer)
    body = frames.message(each.SerializeToString()) * 20
    await _callers(address, body, 32, end_s, codes, method=MATCH_STREAM)


async def unread_streams(address: str, end_s: float, codes: Codes) -> None:
    """8 streams ask for 1,000 matches 2,000 times and never read an answer."""
    each = matching_service_pb2.MatchProductsRequest(request=request(title="gel", match_count=1000))
    body = frames.message(each.SerializeToString()) * 2000
    headers = frames.header_block(MATCH_STREAM, address)
    opened = [await connect(address, reads=False) for _ in range(8)]
    for connection in opened:
        connection.start(headers, body, _counter(codes), ends=False)
    await _until(end_s)
    _close(opened)


async def long_answers(address: str, end_s: float, codes: Codes) -> None:
    """16 callers ask for 1,000 matches each, again and again."""
    body = frames.message(request(title="gel", match_count=1000).SerializeToString())
    await _callers(address, body, 16, end_s, codes)


async def bombs(address: str, end_s: float, codes: Codes) -> None:
    """32 callers send a photo of few bytes and 39.7 megapixels, again and again."""
    body = frames.message(request(image=bomb()).SerializeToString())
    await _callers(address, body, 32, end_s, codes)


async def slow_senders(address: str, end_s: float, codes: Codes) -> None:
    """200 calls send nothing, 50 streams send half a message; all stay open."""
    whole = frames.message(request(title="washing gel").SerializeToString())
    unary = frames.header_block(MATCH, address)
    stream = frames.header_block(MATCH_STREAM, address)
    async with connections(address, 10) as opened:
        for number in range(200):
            opened[number % 10].start(unary, b"", _counter(codes), ends=False)
        for number in range(50):
            half = whole[: len(whole) // 2]
            opened[number % 10].start(stream, half, _counter(codes), ends=False)
        await _until(end_s)


async def idle_streams(address: str, end_s: float, codes: Codes) -> None:
    """200 streams send one offer and stay open."""
    each = matching_service_pb2.MatchProductsRequest(request=request(title="washing gel"))
    body = frames.message(each.SerializeToString())
    headers = frames.header_block(MATCH_STREAM, address)
    async with connections(address, 20) as opened:
        for number in range(200):
            opened[number % 20].start(headers, body, _counter(codes), ends=False)
        await _until(end_s)


async def malformed(address: str, end_s: float, codes: Codes) -> None:
    """8 callers send bytes that are no message, single and in streams."""
    chance = random.Random(8)
    bodies = [frames.message(b"\x0a\xff" + chance.randbytes(60)) for _ in range(50)]
    methods = [frames.header_block(method, address) for method in (MATCH, MATCH_STREAM)]

    async def caller(connection: WireConnection) -> None:
        while time.monotonic() < end_s:
            code = await ask(connection, chance.choice(methods), chance.choice(bodies), PATIENCE_S)
            codes[CODE_NAMES[code]] += 1
            await asyncio.sleep(0.005)

    async with connections(address, 8) as opened:
        await asyncio.gather(*map(caller, opened))


async def connection_flood(address: str, end_s: float, codes: Codes) -> None:
    """500 connections stay open, and 100 a second come and go."""
    held = []
    for _ in range(500):
        held.append(await connect(address))
        await asyncio.sleep(0.001)
    while time.monotonic() < end_s:
        try:
            (await connect(address)).close()
            codes["CONNECTED"] += 1
        except OSError:
            codes["REFUSED"] += 1
        await asyncio.sleep(0.01)
    _close(held)


Attack = Callable[[str, float, Codes], Awaitable[None]]
ATTACKS: Final[dict[str, Attack]] = {
    attack.__name__: attack
    for attack in (
        large_photos,
        largest_messages,
        large_streams,
        unread_streams,
        long_answers,
        bombs,
        slow_senders,
        idle_streams,
        malformed,
        connection_flood,
    )
}


async def attack(address: str, names: Sequence[str], duration_s: float) -> dict[str, Codes]:
    """Runs attacks side by side; returns the codes that each was answered."""
    end_s = time.monotonic() + duration_s
    codes = {name: Counter[str]() for name in names}
    running = [
        asyncio.wait_for(ATTACKS[name](address, end_s, codes[name]), duration_s + LATE_S)
        for name in names
    ]
    ends = await asyncio.gather(*running, return_exceptions=True)
    for name, end in zip(names, ends, strict=True):
        if isinstance(end, BaseException):
            codes[name][f"{type(end).__name__}: {end}"] += 1
    return codes


def main(arguments: Sequence[str] | None = None) -> int:
    """Attacks; prints the codes as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.attacks", description=__doc__)
    parser.add_argument("address", help="host:port of the service")
    parser.add_argument("names", nargs="+", choices=ATTACKS)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args(arguments)
    codes = asyncio.run(attack(options.address, options.names, options.seconds))
    cpu_share = time.process_time() / options.seconds
    json.dump({"codes": codes, "cpu_share": round(cpu_share, 2)}, sys.stdout)
    return 0


async def _callers(
    address: str, body: bytes, count: int, end_s: float, codes: Codes, *, method: str = MATCH
) -> None:
    """Callers with a connection each, which ask again as soon as they are answered."""
    headers = frames.header_block(method, address)

    async def caller(connection: WireConnection) -> None:
        while (left_s := end_s - time.monotonic()) > 0 and not connection.closed.done():
            code = await ask(connection, headers, body, left_s)
            codes[CODE_NAMES[code]] += 1
            if code != 0:
                await asyncio.sleep(0.01)

    async with connections(address, count) as opened:
        await asyncio.gather(*map(caller, opened))


def _photo_message(byte_count: int) -> bytes:
    return frames.message(request(image=_padded(byte_count)).SerializeToString())


def _padded(byte_count: int) -> bytes:
    """Returns a small photo with so many bytes."""
    small = photo(640, 480)
    return small + bytes(byte_count - len(small))


def _counter(codes: Codes) -> Callable[[object, int], None]:
    def count(call: object, code: int) -> None:
        codes[CODE_NAMES[code]] += 1

    return count


async def _until(end_s: float) -> None:
    await asyncio.sleep(max(0.0, end_s - time.monotonic()))


def _close(opened: Sequence[WireConnection]) -> None:
    for connection in opened:
        connection.close()


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


if __name__ == "__main__":
    sys.exit(main())
