"""How many groups of prefix codes the pixels of a lossless WebP are coded with.

A decoder builds the tables of all groups before the first pixel: 300 kilobytes can ask for 65,536.
How many there are stands behind the transforms, whose small pictures are read over here.

Source: RFC 9649, WebP Image Format, sections 3.4 to 3.7.
"""

from __future__ import annotations

_MOST_GROUPS = 65_536
_BITS_PER_GROUP = 20  # of five codes of one symbol each
# Pixels of all small pictures that are read at most, some 0.1 s. What libwebp writes for a photo
# that is small enough to be decoded has fewer.
_MOST_TILES = 65_536
_SUBTRACT_GREEN, _COLOUR_TABLE = 2, 3
_LITERALS, _LENGTHS, _DISTANCES = 256, 24, 40
# Order in which the lengths of the code of code lengths are stored.
_LENGTH_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
# Code lengths that repeat: bits of the count, and the least count.
_REPEATS = {16: (2, 3), 17: (3, 3), 18: (7, 11)}


class _UnreadableError(Exception):
    """The stream is broken, ends, or has more tiles than are read."""


def count_code_groups(data: bytes, start: int, width: int, height: int) -> int:
    """Counts the groups of prefix codes that a decoder would build.

    Args:
        data: A file.
        start: Where the stream of lossless pixels begins in it, behind its own header.
        width: Width of the picture, pixels.
        height: Its height, pixels.

    Returns:
        Their number; the most that there can be when it cannot be told.
    """
    stream = _Stream(data, start)
    try:
        return stream.count_groups(width, height)
    except _UnreadableError:
        tile_count = _subsample(width, 2) * _subsample(height, 2)
        return min(_MOST_GROUPS, tile_count, 8 * (len(data) - start) // _BITS_PER_GROUP)


class _Stream:
    """Reads bits, of each byte the lowest first."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._position = 8 * start
        self._tiles_left = _MOST_TILES

    def count_groups(self, width: int, height: int) -> int:
        """Reads all that stands before the codes of the picture itself."""
        seen = set()
        while self._read(1):
            transform = self._read(2)
            if transform in seen:
                raise _UnreadableError
            seen.add(transform)
            if transform == _COLOUR_TABLE:
                colour_count = 1 + self._read(8)
                self._read_picture(colour_count)
                packing = sum(colour_count <= each for each in (2, 4, 16))
                width = _subsample(width, packing)
            elif transform != _SUBTRACT_GREEN:
                self._read_tiles(width, height)
        if self._read(1):
            self._read(4)  # the size of the cache of colours
        return 1 + self._read_tiles(width, height) if self._read(1) else 1

    def _read_tiles(self, width: int, height: int) -> int:
        bits = 2 + self._read(3)
        return self._read_picture(_subsample(width, bits) * _subsample(height, bits))

    def _peek(self) -> int:
        start = self._position >> 3
        return int.from_bytes(self._data[start : start + 4], "little") >> (self._position & 7)

    def _read(self, bit_count: int) -> int:
        word = self._peek()
        self._position += bit_count
        if self._position > 8 * len(self._data):
            raise _UnreadableError
        return word & ((1 << bit_count) - 1)

    def _read_picture(self, left: int) -> int:
        """Reads over so many pixels; the greatest number that red and green make of one."""
        self._tiles_left -= left
        if self._tiles_left < 0:
            raise _UnreadableError
        cached = 1 << self._read(4) if self._read(1) else 0
        sizes = (_LITERALS + _LENGTHS + cached, _LITERALS, _LITERALS, _LITERALS, _DISTANCES)
        greens, reds, blues, alphas, distances = (self._read_code(size) for size in sizes)
        tables = (greens, reds, blues, alphas)
        green_mask, red_mask, blue_mask, alpha_mask = (len(table) - 1 for table in tables)
        data, position, greatest = self._data, self._position, 0
        while left > 0:
            # Four codes of 15 bits, behind at most 7: no pixel takes more.
            start = position >> 3
            word = int.from_bytes(data[start : start + 9], "little") >> (position & 7)
            green, length = greens[word & green_mask]
            position += length
            word >>= length
            if green < _LITERALS:
                red, length = reds[word & red_mask]
                position += length
                word >>= length
                length = blues[word & blue_mask][1]
                position += length + alphas[word >> length & alpha_mask][1]
                greatest = max(greatest, red << 8 | green)
                left -= 1
            elif green < _LITERALS + _LENGTHS:
                extra, least = _extra_bits(green - _LITERALS)
                left -= least + (word & ((1 << extra) - 1))
                distance, length = distances[word >> extra & (len(distances) - 1)]
                position += extra + length + _extra_bits(distance)[0]
            else:
                left -= 1
        if position > 8 * len(data):
            raise _UnreadableError
        self._position = position
        return greatest

    def _read_code(self, size: int) -> list[tuple[int, int]]:
        """Reads a prefix code: symbol and length by the bits that come next."""
        if self._read(1):
            has_two = self._read(1)
            lengths = [0] * _LITERALS
            lengths[self._read(8 if self._read(1) else 1)] = 1
            if has_two:
                lengths[self._read(8)] = 1
            return _make_table(lengths)
        of_lengths = [0] * len(_LENGTH_ORDER)
        for place in _LENGTH_ORDER[: 4 + self._read(4)]:
            of_lengths[place] = self._read(3)
        table = _make_table(of_lengths)
        left = 2 + self._read(2 + 2 * self._read(3)) if self._read(1) else size
        lengths, previous = [], 8
        while len(lengths) < size and left:
            left -= 1
            value, length = table[self._peek() & (len(table) - 1)]
            self._read(length)
            if value in _REPEATS:
                bit_count, least = _REPEATS[value]
                lengths += [previous if value == 16 else 0] * (least + self._read(bit_count))
            else:
                lengths.append(value)
                previous = value or previous
        if len(lengths) > size:
            raise _UnreadableError
        return _make_table(lengths)


def _make_table(lengths: list[int]) -> list[tuple[int, int]]:
    """Makes a table of a canonical code; one of a single symbol takes no bits."""
    used = sorted((length, symbol) for symbol, length in enumerate(lengths) if length)
    if len(used) == 1:
        return [(used[0][1], 0)]
    deepest = used[-1][0] if used else 0
    table = [(0, 0)] * (1 << deepest)
    code = last = 0
    for length, symbol in used:
        code <<= length - last
        if code >> length:
            raise _UnreadableError
        first = int(f"{code:0{length}b}"[::-1], 2)
        table[first :: 1 << length] = [(symbol, length)] * (1 << (deepest - length))
        code, last = code + 1, length
    if not used or code != 1 << deepest:
        raise _UnreadableError
    return table


def _extra_bits(code: int) -> tuple[int, int]:
    """How many bits follow the code of a length or distance, and the least that it means."""
    if code < 4:
        return 0, code + 1
    bit_count = (code - 2) >> 1
    return bit_count, ((2 + (code & 1)) << bit_count) + 1


def _subsample(side: int, bits: int) -> int:
    return (side + (1 << bits) - 1) >> bits
