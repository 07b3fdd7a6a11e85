"""Results in notebooks: a frame for pandas, and a table with pictures that asks nobody."""

from __future__ import annotations

import pandas

from twinshelf.client.records import Offer, Product
from twinshelf.client.sync_client import Client

HOSTILE = "<script>alert('tea')</script>"


def test_a_result_becomes_a_frame_with_a_row_for_each_match(client: Client) -> None:
    list(client.upsert([Product(product_id="tea", title="Green tea", price=3.5, seller="shop")]))
    result = client.match(Offer(title="green tea"))
    frame = result.to_pandas()
    assert frame["product_id"].tolist() == ["tea"]
    assert frame.loc[0, "price"] == 3.5
    assert frame.loc[0, "score"] == result.matches[0].score
    assert frame["pair_probability"].isna().tolist() == [True]


def test_a_result_without_matches_has_the_same_columns(client: Client) -> None:
    empty = client.match(Offer(title="green tea")).to_pandas()
    list(client.upsert([Product(product_id="tea", title="Green tea")]))
    full = client.match(Offer(title="green tea")).to_pandas()
    assert len(empty) == 0
    assert empty.columns.tolist() == full.columns.tolist()
    both = pandas.concat([full, empty])  # of one kind, so that conditions stay conditions
    assert both[~both["is_match"]].empty and both.dtypes.tolist() == full.dtypes.tolist()


def test_a_notebook_shows_pictures_and_runs_nothing_of_a_title(client: Client) -> None:
    list(
        client.upsert(
            [
                Product(product_id="a", title=HOSTILE, image=b"photo", price=123456.78),
                Product(product_id="b", title="Tea", image_uri="https://example.org/tea.jpg"),
            ]
        )
    )
    result = client.illustrate(client.match(Offer(title="tea", image=b"photo")))
    assert set(result.pictures) == {"a"}
    shown = result._repr_html_()
    assert shown.count("<img") == 1 and "data:image/jpeg;base64," in shown
    assert "<script" not in shown and "http" not in shown
    assert shown.count("<tr>") == 3 and "<td>123,456.78</td>" in shown
