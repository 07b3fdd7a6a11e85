"""Files are written atomically, and kept while what they were made from stays the same."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from twinshelf.training.files import (
    Step,
    atomic_write,
    code_digest,
    file_state,
    write_atomically,
    write_json,
)


def test_a_file_takes_the_place_of_the_older_one_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    for text in ("old", "new"):
        with atomic_write(path) as partial:
            partial.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_what_breaks_off_leaves_the_older_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_that_cannot_be_written_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_atomically(path, "чай\n")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "tea \ud800")
    assert path.read_bytes() == "чай\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_json_has_null_where_a_number_is_not_finite(tmp_path: Path) -> None:
    write_json(tmp_path / "r.json", {"чай": [math.nan, (1.5, math.inf)], "parts": {"a": True}})
    text = (tmp_path / "r.json").read_text("utf-8")
    assert json.loads(text) == {"чай": [None, [1.5, None]], "parts": {"a": True}}
    assert "чай" in text and text.endswith("\n")


PACKAGE = {
    "__init__.py": "",
    "bake.py": '"""Bakes."""\nfrom madeup.recipes import dough\nfrom . import oven\n',
    "oven.py": "def heat():\n    import numpy\n    from madeup.parts.grid import GRID\n",
    "recipes/__init__.py": "",
    "recipes/dough.py": 'from pathlib import Path\nFLOUR = Path(__file__).parent / "flour"\n',
    "recipes/flour/rye.yaml": "gram: 500\n",
    "recipes/flour/notes.md": "Rye is dark.\n",
    "parts/__init__.py": "",
    "parts/grid.py": "GRID = 3  # bars\n",
    "parts/unused.py": "X = 1\n",
    "serve.py": "import madeup.bake\n",
}


distributions = functools.cache(packages_distributions)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package, of which `madeup.bake` reaches every module but two."""
    folder = tmp_path / "site" / "madeup"
    for name, text in PACKAGE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr("twinshelf.training.files.packages_distributions", distributions)
    return folder


@pytest.fixture
def step(package: Path, tmp_path: Path) -> Step:
    """A step of that package that was done."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "table.csv").write_text("a,b")
    (tmp_path / "data" / "photo.jpg").write_bytes(b"photo")
    step = Step(
        name="bake",
        module="madeup.bake",
        options=("--hot",),
        inputs=(tmp_path / "data",),
        outputs=(tmp_path / "out" / "bread", tmp_path / "out" / "crumbs"),
        reading_list=tmp_path / "out" / "read.txt",
    )
    bake(step)
    return step


def bake(step: Step) -> None:
    code_digest.cache_clear()
    with step.stamped():
        for path in step.outputs:
            write_atomically(path, "done")


def is_done(step: Step) -> bool:
    code_digest.cache_clear()  # as in a new process
    return step.is_done()


@pytest.mark.slow
def test_a_step_is_done_until_something_changes_and_again_afterwards(step: Step) -> None:
    assert is_done(step)


def edit(name: str, text: str) -> Callable[[Path], object]:
    return lambda package: (package / name).write_text(text)


def move(package: Path) -> None:
    """Moves a module that others import, and mends who imports it."""
    (package / "recipes" / "dough.py").rename(package / "recipes" / "pastry.py")
    edit("bake.py", PACKAGE["bake.py"].replace("import dough", "import pastry"))(package)


@pytest.mark.parametrize(
    "change",
    [
        edit("bake.py", PACKAGE["bake.py"] + "X = 1\n"),
        edit("parts/grid.py", "GRID = 4\n"),
        edit("parts/__init__.py", "X = 1\n"),
        edit("recipes/flour/rye.yaml", "gram: 400\n"),
        edit("recipes/flour/oat.yaml", "gram: 1\n"),
        move,
    ],
)
def test_a_change_of_code_or_data_that_is_reached_makes_the_step_run_again(
    step: Step, package: Path, change: Callable[[Path], None]
) -> None:
    change(package)
    assert not is_done(step)
    bake(step)
    assert is_done(step)


@pytest.mark.parametrize(
    "change",
    [
        edit("parts/unused.py", "X = 2\n"),
        edit("serve.py", "X = 2\n"),
        edit("recipes/flour/notes.md", "Rye is healthy.\n"),
        edit("parts/grid.py", "# What bread stands on.\nGRID = 3\n"),
        edit("bake.py", PACKAGE["bake.py"].replace("Bakes.", "Bakes bread.")),
    ],
)
def test_an_unrelated_edit_or_a_comment_does_not(
    step: Step, package: Path, change: Callable[[Path], None]
) -> None:
    change(package)
    assert is_done(step)


def test_a_module_that_moved_away_from_its_importers_is_an_error(step: Step, package: Path) -> None:
    (package / "parts" / "grid.py").rename(package / "parts" / "grate.py")
    with pytest.raises(ModuleNotFoundError, match=r"madeup\.oven imports madeup\.parts\.grid"):
        is_done(step)


def test_the_version_of_an_imported_library_counts(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def version(name: str) -> str:
        asked.append(name)
        return "0.0.1"

    monkeypatch.setattr("twinshelf.training.files.version", version)
    assert not is_done(step) and asked == ["numpy"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("data/table.csv", "a,c"), ("data/new.csv", ""), ("out/bread", "eaten"), ("out/crumbs", "x")],
)
def test_a_changed_input_or_output_makes_the_step_run_again(
    step: Step, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    assert not is_done(step)


def test_a_photo_counts_by_size_and_time_and_a_table_by_its_content(
    step: Step, tmp_path: Path
) -> None:
    table = tmp_path / "data" / "table.csv"
    table.write_text(table.read_text())
    assert is_done(step)
    photo = tmp_path / "data" / "photo.jpg"
    before = file_state(photo)
    photo.write_bytes(b"another")
    assert file_state(photo) != before and not is_done(step)
    stored = photo.rename(photo.with_name(64 * "a"))  # as one of the web is
    assert file_state(stored) == f"{stored.stat().st_size} {stored.stat().st_mtime_ns}"


def test_what_a_table_names_counts_even_where_it_is_missing(step: Step, tmp_path: Path) -> None:
    assert step.reading_list is not None
    photo = tmp_path / "elsewhere.jpg"
    step.reading_list.write_text(f"{photo}\n")
    bake(step)
    assert is_done(step)
    photo.write_bytes(b"mended")
    assert not is_done(step)


def test_other_options_are_another_step(step: Step) -> None:
    others = [("--hot", "--long"), ("--hot --long",), ()]
    digests = {Step(name="bake", module=step.module, options=each).digest() for each in others}
    assert len(digests) == 3


def test_a_command_that_went_on_from_where_it_stopped_is_the_same_step(step: Step) -> None:
    whole, resumed = (
        Step(name="bake", module=step.module, options=each)
        for each in (("--hot",), ("--hot", "--resume"))
    )
    assert whole.digest() == resumed.digest()


def test_where_the_inputs_lie_does_not_matter(step: Step, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    (tmp_path / "data").rename(tmp_path / "moved" / "data")
    moved = Step(
        name=step.name,
        module=step.module,
        options=step.options,
        inputs=(tmp_path / "moved" / "data",),
        outputs=step.outputs,
        reading_list=step.reading_list,
    )
    assert is_done(moved)


def test_a_step_that_breaks_off_is_not_done(step: Step) -> None:
    with pytest.raises(RuntimeError), step.stamped():
        raise RuntimeError
    assert not is_done(step)


def test_a_step_that_leaves_an_output_out_is_an_error(step: Step) -> None:
    step.outputs[1].unlink()
    with pytest.raises(FileNotFoundError, match="bake ended well but did not write .*crumbs"):
        with step.stamped():
            pass
    assert not is_done(step)


def test_a_missing_input_is_named(step: Step, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="there is no file or folder .*data"):
        is_done(step)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"digest": 1'])
def test_a_damaged_stamp_is_none(step: Step, text: str) -> None:
    assert json.loads(step.stamp_path.read_text())["digest"]
    step.stamp_path.write_text(text)
    assert not is_done(step)


@pytest.mark.slow
def test_every_command_of_ours_finds_all_that_it_imports() -> None:
    for module in ("catalogues.prepare", "train", "evaluation"):
        assert len(code_digest(f"twinshelf.training.{module}")) == 64
