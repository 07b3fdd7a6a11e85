"""References to photos, and the files that they may name."""

from __future__ import annotations

import base64
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from tests.client.files.tables import JPEG, write
from twinshelf.client.files.values import photos
from twinshelf.client.files.values.photos import PhotoError, PhotoFiles, photos_of, read_photo


def test_photos_that_are_nested_without_end_are_refused() -> None:
    with pytest.raises(PhotoError, match="nested 32 deep at most"):
        photos_of("[" * 600 + "]" * 600)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (None, []),
        ("NULL", []),
        ("a.jpg; b.jpg;", ["a.jpg", "b.jpg"]),
        ('["a.jpg", "b.jpg"]', ["a.jpg", "b.jpg"]),
        ("['a.jpg', 'b.jpg']", ["a.jpg", "b.jpg"]),
        (["a.jpg", None, "b.jpg"], ["a.jpg", "b.jpg"]),
        ("['a.jpg'\n \"it's 'b'.jpg\"]", ["a.jpg", "it's 'b'.jpg"]),
        ("array(['a.jpg', 'b (1).jpg'], dtype=object)", ["a.jpg", "b (1).jpg"]),
        ("a.jpg|b.png", ["a.jpg", "b.png"]),
        ("a, b.jpg", ["a, b.jpg"]),
        ("folder|x/a.jpg", ["folder|x/a.jpg"]),
        ("https://x.y/a,b.jpg, https://x.y/c.jpg", ["https://x.y/a,b.jpg", "https://x.y/c.jpg"]),
        ("https://x.y/a.jpg?v=1;2", ["https://x.y/a.jpg?v=1;2"]),
        ("https://x.y/a.jpg|https://x.y/b", ["https://x.y/a.jpg", "https://x.y/b"]),
        ([{"src": "https://x.y/a"}, {"url": "//x.y/b"}], ["https://x.y/a", "//x.y/b"]),
        ({"bytes": None, "path": "a.jpg"}, ["a.jpg"]),
        ({"main": {"url": "//x.y/a"}, "i": [{"url": "//x.y/b"}]}, ["//x.y/a", "//x.y/b"]),
        ("a b.jpg (https://x.y/a), c.jpg (https://x.y/c)", ["https://x.y/a", "https://x.y/c"]),
        ({"data": {"id": 5, "attributes": {"url": "//x.y/a"}}}, ["//x.y/a"]),
        ('{"0": "https://x.y/a"}', ["https://x.y/a"]),
        ("[https://x.y/a, https://x.y/b]", ["https://x.y/a", "https://x.y/b"]),
        (b"a.jpg", ["a.jpg"]),
        ("a.jpg b.jpg", ["a.jpg", "b.jpg"]),
        ([{"src": "a.mp4", "type": "video"}, {"type": "image/png", "src": "b"}], ["b"]),
        ({"MIME": [{"MIME_TYPE": "application/pdf", "S": "a.pdf"}, {"S": "b.jpg"}]}, ["b.jpg"]),
        ([{"shop": "A", "images": [{"variant": "MAIN", "link": "//x.y/a"}]}], ["//x.y/a"]),
        ("https://x.y/a.jpg~https://x.y/b.jpg", ["https://x.y/a.jpg", "https://x.y/b.jpg"]),
        ("s3://x/a.jpg,s3://x/b.jpg", ["s3://x/a.jpg", "s3://x/b.jpg"]),
        ("file:///x/a.jpg", ["file:///x/a.jpg"]),
        ('<p><img alt="" src="//x.y/a"><img src=b.jpg></p>', ["//x.y/a", "b.jpg"]),
        ('=IMAGE("https://x.y/a"; 1)', ["https://x.y/a"]),
        ("![a mug](//x.y/a) [more](b.jpg)", ["//x.y/a", "b.jpg"]),
        ("<a href='//x.y/a'>1</a><a href=b.jpg>2</a>", ["//x.y/a", "b.jpg"]),
        ("//x.y/a.jpg,//x.y/b.jpg,", ["//x.y/a.jpg", "//x.y/b.jpg"]),
        ("https:\\/\\/x.y\\/a.jpg", ["https://x.y/a.jpg"]),
    ],
)
def test_names_are_parted(cell: object, names: list[str]) -> None:
    assert [photo.name for photo in photos_of(cell)] == names


def test_a_photo_may_stand_in_a_data_uri() -> None:
    assert [photo.data for photo in photos_of("data:image/png;base64,iVBORw==")] == [b"\x89PNG"]


@pytest.mark.parametrize("cell", ["a\0b", {"height": 5}, "data:image/png;base64,A", [""] * 10_001])
def test_what_is_no_photo_is_refused(cell: object) -> None:
    with pytest.raises(PhotoError, match="images must be"):
        photos_of(cell)


def test_a_name_starts_from_the_first_folder_that_has_it(tmp_path: Path) -> None:
    write(tmp_path, JPEG, "one/a.jpg")
    write(tmp_path, JPEG, "two/b c.jpg")
    files = PhotoFiles([tmp_path / "one", tmp_path / "two"])
    assert files.find("a.jpg") == tmp_path / "one/a.jpg"
    assert files.find("b c.jpg") == tmp_path / "two/b c.jpg"
    assert files.find(f"file://{tmp_path}/two/b%20c.jpg") == tmp_path / "two/b c.jpg"
    with pytest.raises(PhotoError, match="there is no photo"):
        files.find("c.jpg")
    with pytest.raises(PhotoError, match="cannot be read"):
        files.find("x" * 5000)


def test_a_photo_that_is_nowhere_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="there is no photo /nowhere/a.jpg"):
        PhotoFiles([tmp_path]).find("/nowhere/a.jpg")


def test_photos_of_the_wrong_size_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PhotoError, match="is empty"):
        read_photo(write(tmp_path, b"", "a.jpg"))
    monkeypatch.setattr(photos, "LARGEST_PHOTO_BYTES", 5)
    with pytest.raises(PhotoError, match="is larger than"):
        read_photo(write(tmp_path, JPEG, "a.jpg"))
    with pytest.raises(PhotoError, match="no regular file"):
        read_photo(Path("/dev/zero"))


def test_photos_come_as_other_programs_write_them() -> None:
    written = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(80)).decode()
    assert photos_of(written)[0].data.startswith(b"\xff\xd8\xff")
    for spelled in ("\\xffd8ffe0", "0xFFD8FFE0", "b'\\xff\\xd8\\xff\\xe0'"):
        assert [each.data for each in photos_of(spelled)] == [b"\xff\xd8\xff\xe0"]
    assert [each.is_url for each in photos_of("s3://x/a.jpg;file:///a.jpg;b.jpg")] == [1, 0, 0]
    assert photos_of("\\N") == []
    named = [each.name for each in photos_of("{https://a/1.jpg,https://a/2.jpg}")]
    assert named == ["https://a/1.jpg", "https://a/2.jpg"]
    taobao = photos_of("0a1b2c:1:0:|https://a/1.jpg;0a1b2d:1:1:|https://a/2.jpg;")
    assert [each.name for each in taobao] == ["https://a/1.jpg", "https://a/2.jpg"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_photo_is_found_however_its_name_is_spelled(
    tmp_path: Path, form: Literal["NFC", "NFD"]
) -> None:
    (tmp_path / "g").mkdir()
    path = tmp_path / "g" / unicodedata.normalize(form, "grün.jpg")
    path.write_bytes(b"x")
    spelled = unicodedata.normalize("NFD", "g/grün.jpg")
    names = ["g/grün.jpg", spelled, "/g/grün.jpg", "g/gr%C3%BCn.jpg"]
    # As it lay where the table was written.
    for name in (*names, r"C:\Shop\g\grün.jpg", r"\\host\shop\g\grün.jpg", "/home/a/g/grün.jpg"):
        assert PhotoFiles([tmp_path]).find(name) == path


def test_of_one_photo_in_several_sizes_the_large_one_is_taken() -> None:
    cell = {"orderNumber": 1, "smallUrl": "https://x.com/s.jpg", "largeUrl": "https://x.com/l.jpg"}
    assert [photo.name for photo in photos_of([cell])] == ["https://x.com/l.jpg"]
    cell = {"c246x328": "https://x.com/s.webp", "big": "https://x.com/l.webp"}
    assert [photo.name for photo in photos_of([cell])] == ["https://x.com/l.webp"]
    with pytest.raises(PhotoError, match="got an object with orderNumber, kind"):
        photos_of({"orderNumber": 1, "kind": "front"})


@pytest.mark.parametrize("name", ["file://[x.jpg", "file:///a%00b.jpg", "a\0b.jpg", "\ud800.jpg"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PhotoError):
        PhotoFiles([tmp_path]).find(name)
