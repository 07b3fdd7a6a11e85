"""A row that holds a text beside numbers and blanks is labelled."""

from __future__ import annotations

from twinshelf.client.files.forms.row_label import label_of


def test_a_label_is_the_first_and_only_text() -> None:
    label = label_of(["Total", None, 22.5, " 7 kg"])
    assert label is not None and (label.text, label.is_alone) == ("Total", False)
    label = label_of(["Total", "", "10 items", 22.5])
    assert label is not None and label.text == "Total"
    assert label_of(["1", "Shoe"]) is None and label_of(["Shoe"]) is None
    assert label_of(["A1", "Shoe", "5"]) is None and label_of(["", "x" * 500]) is None
