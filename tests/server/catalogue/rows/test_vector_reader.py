"""Reading what tells vectors apart from a file in which numbers are no numbers any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.catalogue.one_machine.filled_catalogue import (
    damage_database,
    fill,
    missing_products,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("column", ["checksum", "vector_version"])
@pytest.mark.parametrize("value", ["'no number'", "1.5", "x'00ff'"])
async def test_a_number_that_is_none_any_more_costs_its_own_product_alone(
    tmp_path: Path, column: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    embeddings = await fill(tmp_path, 12)
    damage_database(
        tmp_path, f"UPDATE product_vectors SET {column} = {value} WHERE product_number = 5"
    )
    assert await missing_products(tmp_path, embeddings) == ["p4"]
    # By the check of the whole file or by the index, whichever comes first.
    assert "product 5 is damaged and set aside" in caplog.text
