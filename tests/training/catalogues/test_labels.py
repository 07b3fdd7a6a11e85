"""Labels looked at before reading."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twinshelf.training.catalogues.labels import require_shared_groups, require_two_classes


def write(tmp_path: Path, *labels: str) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("id,label\n" + "".join(f"{n},{label}\n" for n, label in enumerate(labels)))
    return path


def passes(check: Callable[..., Any], path: Path) -> bool:
    try:
        check(path, "label")
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("labels", "has_two_classes", "has_shared_group"),
    [
        (("a", "b", "", "a"), True, True),
        (("a", "b", ""), True, False),
        (("a", "", "a"), False, True),
    ],
)
def test_two_classes_and_a_shared_group_pass(
    tmp_path: Path, labels: tuple[str, ...], has_two_classes: bool, has_shared_group: bool
) -> None:
    path = write(tmp_path, *labels)
    assert passes(require_two_classes, path) == has_two_classes
    assert passes(require_shared_groups, path) == has_shared_group


def test_labels_of_one_class_are_refused_by_file_row_and_column(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.csv, column 'label': every label is 'a', from row 2"):
        require_two_classes(write(tmp_path, "", "a", "a"), "label")


def test_groups_of_one_item_are_refused_by_file_row_and_column(tmp_path: Path) -> None:
    message = r"t\.csv, column 'label': each of the 2 groups has one item, .* 'a' of row 1"
    with pytest.raises(ValueError, match=message):
        require_shared_groups(write(tmp_path, "a", "b"), "label")


@pytest.mark.parametrize("check", [require_two_classes, require_shared_groups])
def test_a_column_without_labels_is_refused(check: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no row has a"):
        check(write(tmp_path, "", ""), "label")
