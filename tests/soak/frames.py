"""HTTP/2 as bytes: the few frames and header blocks that a gRPC client needs.

Headers are written and asked for without compression tables, so that a request is a constant and a
status can be found by its name.
"""

from __future__ import annotations

import struct
from typing import Final

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACKNOWLEDGED, END_HEADERS = 0x1, 0x1, 0x4
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 3, 4
CANCEL: Final = 8
LARGEST_WINDOW: Final = 2**31 - 1
DEFAULT_WINDOW: Final = 65_535
FRAME_SIZE: Final = 16_384
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_LENGTH: Final = 9


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Returns one frame."""
    head = struct.pack(">IBI", len(payload) << 8 | kind, flags, stream_id)
    return head + payload


def settings(values: dict[int, int]) -> bytes:
    """Returns a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in values.items()))


def window_update(stream_id: int, byte_count: int) -> bytes:
    """Returns a frame that allows the peer to send more."""
    return frame(WINDOW_UPDATE, 0, stream_id, struct.pack(">I", byte_count))


def reset(stream_id: int) -> bytes:
    """Returns a frame that cancels a stream."""
    return frame(RESET, 0, stream_id, struct.pack(">I", CANCEL))


def message(body: bytes) -> bytes:
    """Returns a serialised message with the prefix of gRPC."""
    return struct.pack(">BI", 0, len(body)) + body


def header_block(method: str, authority: str, timeout_ms: int | None = None) -> bytes:
    """Returns the headers of a call.

    Args:
        method: Such as "/twinshelf.v1.MatchingService/MatchProduct".
        authority: host:port.
        timeout_ms: Deadline that the service is told, milliseconds; None tells it none.
    """
    block = b"\x83\x86"  # POST, http: places 3 and 6 of the static table
    block += b"\x04" + _text(method) + b"\x01" + _text(authority)
    block += b"\x0f\x10" + _text("application/grpc")
    block += b"\x00" + _text("te") + _text("trailers")
    if timeout_ms is not None:
        block += b"\x00" + _text("grpc-timeout") + _text(f"{timeout_ms}m")
    return block


def status_in(block: bytes) -> int | None:
    """Returns the gRPC status that a header block names, or None."""
    place = block.find(b"grpc-status")
    if place < 0:
        return None
    start = place + len(b"grpc-status")
    return int(block[start + 1 : start + 1 + block[start]])


def _text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) >= 127:
        raise ValueError(f"a header must be shorter than 127 bytes, got {len(encoded)}")
    return bytes([len(encoded)]) + encoded
