"""Probe pairs of a scorer."""

import math
from pathlib import Path

import pytest

from twinshelf.training.pairs.features import Cosines
from twinshelf.training.pairs.probes import PROBES, PairProbe, read_probes, write_probes


def test_probes_come_back_as_written(tmp_path: Path) -> None:
    probes = [
        PairProbe(
            left='{"title": "a\u2028"}', right="{}", cosines=Cosines(text=0.5), probability=0.25
        ),
        PairProbe(left="{}", right="чай", cosines=Cosines(main_image=0.125), probability=1 / 3),
    ]
    write_probes(tmp_path, probes)
    found = read_probes(tmp_path)
    assert [(p.left, p.right, p.probability) for p in found] == [
        (p.left, p.right, p.probability) for p in probes
    ]
    assert found[0].cosines.text == 0.5 and math.isnan(found[0].cosines.image)
    assert found[1].cosines.main_image == 0.125 and math.isnan(found[0].cosines.main_image)


@pytest.mark.parametrize(
    "line",
    ['{"left": "a"}', '{"left": "{}", "right": "{}", "cosines": [1, 0], "probability": 1}'],
)
def test_a_line_that_is_no_probe_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / PROBES).write_text(line + "\n")
    with pytest.raises(ValueError, match="line 1, is no probe"):
        read_probes(tmp_path)
