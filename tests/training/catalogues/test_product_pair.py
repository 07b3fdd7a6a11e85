"""Products known by vectors."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from twinshelf.training.catalogues.product_pair import PrecomputedProduct


def make(**fields: Any) -> PrecomputedProduct:
    values = {
        "product_id": "1",
        "name_vector": np.ones(3, np.float32),
        "main_picture": np.ones(4, np.float32),
        "further_pictures": np.zeros((2, 4), np.float32),
    }
    return PrecomputedProduct(**(values | fields))


def test_the_main_picture_comes_first() -> None:
    assert make().pictures.tolist() == [[1.0] * 4, [0.0] * 4, [0.0] * 4]
    assert make(further_pictures=np.zeros((0, 0), np.float32)).pictures.tolist() == [[1.0] * 4]
    assert make(main_picture=None).pictures.shape == (2, 4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"product_id": ""}, "product_id must not be empty"),
        ({"name_vector": np.ones((1, 3))}, r"name_vector must have 1 axes, got shape \(1, 3\)"),
        ({"main_picture": np.array([1.0, np.nan])}, "main_picture must be finite"),
        ({"further_pictures": np.full((1, 4), np.inf)}, "further_pictures must be finite"),
        ({"further_pictures": np.ones((1, 5))}, r"must be \(N, 4\), got \(1, 5\)"),
    ],
)
def test_wrong_vectors_are_refused(
    fields: dict[str, npt.NDArray[np.float64] | str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(**fields)
