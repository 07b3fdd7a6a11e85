"""Parts of a workbook that cannot be read are as if they were missing."""

from __future__ import annotations

import io
import zipfile

import pytest

from twinshelf.client.files.forms.sheet_xml import bytes_at

PICTURE = "xl/media/image1.png"


@pytest.mark.parametrize(("flags", "content"), [(0, b"a picture"), (1, b"")])  # 1: with a password
def test_a_part_with_a_password_is_nothing(flags: int, content: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(PICTURE, b"a picture")
    raw = bytearray(file.getvalue())
    raw[6] |= flags  # in the part's own header, and in the list of parts
    raw[raw.index(b"PK\1\2") + 8] |= flags
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert bytes_at(archive, PICTURE) == content
        assert bytes_at(archive, PICTURE, most=1) == b""
        assert bytes_at(archive, "absent") == b""
