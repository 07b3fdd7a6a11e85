"""Features of pairs: names, order, agreement, clash, symmetry, what is unknown."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from tests.training.pairs.made_pairs import make_pairs
from twinshelf.training.catalogues.product import Product
from twinshelf.training.pairs.features import (
    Cosines,
    cosine_count,
    describe_pair,
    feature_matrix,
)
from twinshelf.training.pairs.read_record import RecordReading, pair_tokens
from twinshelf.training.pairs.statistics import TokenStatistics

PAIRS = [(pair.left, pair.right) for pair in make_pairs(20, seed=1)]
RECORDS = [record for pair in PAIRS for record in pair]


@pytest.fixture(scope="module")
def statistics() -> TokenStatistics:
    return TokenStatistics.count(pair_tokens(record) for record in RECORDS)


def describe_records(
    left: Product, right: Product, statistics: TokenStatistics
) -> dict[str, float]:
    return describe_pair(RecordReading.of(left, statistics), RecordReading.of(right, statistics))


@pytest.fixture(scope="module")
def describe(statistics: TokenStatistics) -> Callable[..., Any]:
    def of(
        left: dict[str, Any],
        right: dict[str, Any],
        cosines: Cosines | None = None,
    ) -> dict[str, float]:
        first, second = (
            RecordReading.of(Product(product_id="1", **fields), statistics)
            for fields in (left, right)
        )
        return describe_pair(first, second, *([cosines] if cosines else []))

    return of


def test_names_and_their_order_never_change(
    describe: Callable[..., Any], statistics: TokenStatistics
) -> None:
    names = list(describe({"title": "tv"}, {"title": "tv"}))
    assert names == list(describe({}, {})) == list(describe_records(*PAIRS[0], statistics))
    assert names[:3] == ["image_cosine", "text_cosine", "fused_cosine"]
    assert len(set(names)) == len(names)


def test_an_empty_pair_agrees_in_nothing_and_fails_in_nothing(describe: Callable[..., Any]) -> None:
    found = describe({}, {})
    for name in ("title_word_jaccard", "left_title_found", "brand_jaccard", "price_log_ratio"):
        assert math.isnan(found[name])
    assert not any(math.isinf(value) for value in found.values())


@pytest.mark.parametrize(
    "nothing", [{}, {"title": "★ ®"}, {"title": "!", "attributes": {"a": "®"}}]
)
def test_records_without_a_word_do_not_agree(
    describe: Callable[..., Any], nothing: dict[str, Any]
) -> None:
    for right in (nothing, {"title": "tv"}):
        found = describe({**nothing, "price": 9.0}, {**right, "price": 9.0})
        prices = ("price_log_ratio", "price_log_left_over_right")
        assert [found.pop(name) for name in prices] == [0, 0]
        assert found.pop("left_price_known") == found.pop("right_price_known") == 1
        assert all(math.isnan(value) for value in found.values())


def test_a_title_without_a_word_gives_way_to_the_other_text(describe: Callable[..., Any]) -> None:
    found = describe({"title": "★", "description": "sony tv"}, {"title": "sony tv"})
    assert found["title_word_jaccard"] == found["first_word_agrees"] == 1


def test_swapping_the_records_swaps_the_sides_and_changes_nothing_else(
    statistics: TokenStatistics,
) -> None:
    for left, right in PAIRS:
        found = describe_records(left, right, statistics)
        swapped = describe_records(right, left, statistics)
        for name, value in found.items():
            other = name
            if name.startswith(("left_", "right_")):
                other = name.replace("left", "?").replace("right", "left").replace("?", "right")
            sign = -1 if name == "price_log_left_over_right" else 1
            np.testing.assert_allclose(value, sign * swapped[other], atol=1e-9, err_msg=name)


def test_what_both_sides_say_alike_agrees(describe: Callable[..., Any]) -> None:
    same = {
        "title": "Sony DSC-W170 camera 5 mp mac upgrade 2007 v2",
        "price": 9.0,
        "brand": "Sony",
        "attributes": {"Colour": "Red"},
    }
    found = describe(same, same)
    for name in (
        "title_ngram_cosine", "title_word_jaccard", "left_title_found", "title_code_jaccard",
        "text_number_jaccard", "brand_jaccard", "year_jaccard", "version_jaccard",
        "mac_edition_agrees", "colour_jaccard", "quantities_agree", "attributes_agree",
        "title_longest_run_share", "right_title_codes_in_left_text",
    ):  # fmt: skip
        assert found[name] == pytest.approx(1), name
    for name in ("title_codes_clash", "quantities_clash", "price_log_ratio", "attributes_clash"):
        assert found[name] == 0, name


@pytest.mark.parametrize(
    ("left", "right", "name", "value"),
    [
        ("tv kdl-40s", "tv kdl-46s", "title_codes_clash", 1),
        ("tv kdl-40s", "tv kdl40s", "title_codes_clash", 0),
        ("disk 1 tb", "disk 500 gb", "quantities_clash", 1),
        ("disk 1 tb", "disk 1000gb", "quantities_clash", 0),
        ("office 2004", "office 2007", "year_jaccard", 0),
        ("office 2004", "office", "year_on_one_side", 1),
        ("fantasy ii", "fantasy 2.0", "version_jaccard", 1),
        ("office mac", "office windows", "mac_edition_agrees", 0),
        ("case black", "case white", "colour_jaccard", 0),
        ("чайник 2 л белый", "чайник 2000 мл белый", "quantities_agree", 1),
    ],
)
def test_agreement_and_clash_of_titles(
    describe: Callable[..., Any], left: str, right: str, name: str, value: int
) -> None:
    assert describe({"title": left}, {"title": right})[name] == value


def test_a_code_is_found_in_any_text_of_the_other_side(describe: Callable[..., Any]) -> None:
    found = describe({"title": "sony dscw170"}, {"title": "camera", "description": "DSC-W170 b"})
    assert found["left_title_codes_in_right_text"] == 1
    assert found["left_title_code_in_right_text"] == len("dscw170")


def test_the_order_of_attributes_says_nothing(describe: Callable[..., Any]) -> None:
    names = {f"n{n}": f"Lego Technic {4000 + n}" * 12 for n in range(30)}
    one, other = (
        describe({"attributes": dict(items)}, {"title": "Lego Technic 4029"})
        for items in (names.items(), reversed(names.items()))
    )
    assert one == pytest.approx(other, nan_ok=True)


def test_records_of_nothing_but_codes_are_compared_by_the_longest(
    describe: Callable[..., Any],
) -> None:
    codes = [f"a{n}" for n in range(1000, 2000)]
    one, other = (
        {"title": "cup", "description": " ".join([long, *codes])}
        for long in ("ab12345678", "ab12345699")
    )
    assert describe(one, other)["text_closest_codes"] == 1.0


def test_prices_are_compared_as_a_ratio(describe: Callable[..., Any]) -> None:
    found = describe({"title": "a", "price": 9.0}, {"title": "a", "price": 99.0})
    assert found["price_log_ratio"] == pytest.approx(math.log(10))
    assert found["price_log_left_over_right"] == pytest.approx(-math.log(10))
    assert found["left_price_known"] == 1
    assert math.isnan(describe({"price": 9.0}, {})["price_log_ratio"])


def test_attributes_of_one_name_agree_or_clash(describe: Callable[..., Any]) -> None:
    left = {"attributes": {"Model": "DSC-1", "size": "L"}}
    right = {"attributes": {"model": "dsc1", "size": "M", "own": "x"}}
    found = describe(left, right)
    assert (found["attributes_agree"], found["attributes_clash"]) == (1, 1)
    assert math.isnan(describe(left, {})["attributes_agree"])


def test_cosines_are_passed_through(describe: Callable[..., Any]) -> None:
    found = describe({"title": "a"}, {"title": "b"}, Cosines(image=0.5, fused=-0.25))
    assert found["image_cosine"] == 0.5 and found["fused_cosine"] == -0.25
    assert math.isnan(found["text_cosine"]) and math.isnan(found["main_image_cosine"])
    found = describe({"title": "a"}, {"title": "b"}, Cosines(main_image=0.25))
    assert found["main_image_cosine"] == 0.25 and math.isnan(found["image_cosine"])


def test_three_or_four_cosines_are_taken_in_their_order() -> None:
    assert Cosines.of([1, 2, 3, 4]) == Cosines(image=1, text=2, fused=3, main_image=4)
    three = Cosines.of([1, 2, 3])
    assert (three.image, three.text, three.fused) == (1, 2, 3) and math.isnan(three.main_image)
    for count in (2, 5):
        with pytest.raises(ValueError, match=f"expected three or four cosines, got {count}"):
            Cosines.of([0.0] * count)


def test_a_scorer_is_given_a_fourth_cosine_only_where_it_reads_it(
    describe: Callable[..., Any],
) -> None:
    names = list(describe({}, {}))
    assert cosine_count(names) == 4
    assert cosine_count([name for name in names if name != "main_image_cosine"]) == 3


def test_the_cosine_of_words_is_that_of_scikit_learn() -> None:
    texts = [record.title for record in RECORDS]
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+").fit(texts)
    rows = vectorizer.transform(texts).toarray()
    statistics = TokenStatistics.count(text.split() for text in texts)
    plain = [Product(product_id="1", title=text) for text in texts]
    for i in range(0, len(texts), 2):
        found = describe_records(plain[i], plain[i + 1], statistics)
        assert found["text_word_cosine"] == pytest.approx(rows[i] @ rows[i + 1], abs=1e-9)


def test_the_matrix_has_the_rows_of_single_pairs(statistics: TokenStatistics) -> None:
    names, matrix = feature_matrix(PAIRS, statistics)
    assert matrix.dtype == np.float32 and matrix.shape == (len(PAIRS), len(names))
    for row, pair in zip(matrix, PAIRS, strict=True):
        expected = describe_records(*pair, statistics)
        assert tuple(expected) == names
        np.testing.assert_allclose(row, list(expected.values()), atol=6e-6)  # five decimals


def test_no_pairs_and_a_wrong_count_of_cosines_are_refused(statistics: TokenStatistics) -> None:
    with pytest.raises(ValueError, match="no pairs"):
        feature_matrix([], statistics)
    with pytest.raises(ValueError, match="shorter"):
        feature_matrix(PAIRS, statistics, [Cosines()])


def test_every_weighed_token_is_counted(
    statistics: TokenStatistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = set()
    rarity = TokenStatistics.inverse_frequency

    def listen(self: TokenStatistics, token: str) -> float:
        asked.add(token)
        return rarity(self, token)

    monkeypatch.setattr(TokenStatistics, "inverse_frequency", listen)
    describe_records(*PAIRS[0], statistics)
    assert asked <= set(Counter(t for record in PAIRS[0] for t in pair_tokens(record)))
