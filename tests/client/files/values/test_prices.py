"""Prices in whatever form."""

from __future__ import annotations

import pytest

from twinshelf.client.files.values.prices import DecimalSign, decimal_sign_of, price_of


@pytest.mark.parametrize(
    ("cell", "price"),
    [
        ("", None), (None, None), (float("nan"), None), (3, 3.0), ("0", 0.0), ("12990.50", 12990.5),
        ("9,99", 9.99), ("1,299.00", 1299.0), ("1.299,00 €", 1299.0), ("1,299", 1299.0),
        ("$399.00", 399.0), ("1 299,00 ₽", 1299.0), ("1\u202f299,00\u00a0₽", 1299.0),
        ("CHF 1'299.50", 1299.5), ("1.234.567", 1234567.0), ("1,234,567", 1234567.0),
        ("USD 5", 5.0), ("5.-", 5.0), ("€1.299,-", 1299.0),
        (".5", 0.5), ("0,125", 0.125), ("1e3", 1000.0), ("1.299", 1.299),
        ("1.299 €", 1299.0), ("€ 1.299", 1299.0), ("1.299 TL", 1299.0), ("12.990 Ft", 12990.0),
        ("KWD 12.500", 12.5), ("0.125 USD", 0.125), ("￥１，２９９", 1299.0),
        ({"amount": "2.50", "currency": "EUR"}, 2.5), ({}, None), ([], None),
        ({"amountMicros": "12990000", "currencyCode": "USD"}, 12.99),
        ({"amount": 1999, "formatted": "19,99 €"}, 19.99),
        ({"amount": 5, "code": "EUR", "formatted": "€5.00"}, 5.0),
        ({"amount": 1250, "currency": "EUR", "scale": 2}, 12.5),
        ({"amount": 1250, "precision": 2}, 12.5), ({"amount": 12.5, "scale": None}, 12.5),
        ({"amount": "12.50", "scale": 2}, 12.5), ({"amount": 12.5, "scale": 2}, 12.5),
        ({"amount": 3500, "divisor": 100}, 35.0), ({"centAmount": 1299}, 12.99),
        ({"centAmount": 1299, "fractionDigits": 0}, 1299.0),
        ({"centAmount": None, "value": 5}, 5.0), ({"amount": 5, "divisor": float("inf")}, 5.0),
        ({"regularPrice": {"amount": {"value": 9.5, "currency": "USD"}}}, 9.5),
        ({"regular": 20, "special_price": {"amount": 15}}, 15.0), ({"unit_amount": 2495}, 24.95),
        ({"base": {"value": "12.50"}, "salePrice": {"value": "0.00"}, "onSale": False}, 12.5),
        ({"sale": 0, "regular": "0.00"}, 0.0), ({"sale": 0, "regular": "9,50"}, 9.5),
        ({"price": "2495", "currency_minor_unit": 2}, 24.95), ({"unit_amount": 0}, 0.0),
        ("{'value': 24.95, 'currency': 'USD'}", 24.95), ("24.95, USD", 24.95),
        ("USD 24.95,", 24.95),
        ("Rp 12.500", 12500.0), ("١٩٩", 199.0), ("₹१,२९९", 1299.0), ("۱۲۹٬۰۰۰ تومان", 129000.0),
        ("1 299,00 kr", 1299.0), ("5 each", 5.0),
        ("Rs.499", 499.0), ("Rs.1,299.00", 1299.0), ("Rs. .5", 0.5),
        ("$1,299.00 - $1,499.00", 1299.0), ("12,90 – 15,90 €", 12.9), ("¥3.50~¥5.80", 3.5),
        ("1,19 € (1 l = 1,19 €)", 1.19), ("$4.99 ($0.31/oz)", 4.99), ("12.50 (was 15)", 12.5),
        ("12,99 € inkl. 19 % MwSt.", 12.99), ("20% off $12.99", 12.99), ("3,99 €/100g", 3.99),
        ("12.50 USD / 100 g", 12.5), ("3.50 per 1 l", 3.5), ("19€99", 19.99),
        ("39.90 per box of 6", 39.9), ("$12.99/6-pack", 12.99), ("5,50 je Karton zu 12", 5.5),
        ('<b class="h2"><bdi>&#8377;</bdi>499.00</b>', 499.0), ("3,50&nbsp;&euro;", 3.5),
        ("np.float64(3.5)", 3.5), ("1,980円〜2,980円", 1980.0), ("1,980円(税込2,178円)", 1980.0),
        ("US $12.90 to 15", 12.9), ("10.00-20.00", 10.0), ("5 bis 9 EUR", 5.0),
    ],
)  # fmt: skip
def test_prices_are_read_whatever_their_form(cell: object, price: float | None) -> None:
    assert price_of(cell) == price


@pytest.mark.parametrize(
    "cell",
    [
        "free",
        "NULL",
        "inf",
        "nan",
        "-1",
        "10 - 20",
        "10-20% off",
        "20%",
        "2 for $5",
        "2/$5.00",
        "12<sup>99</sup>",
        "1.5万円",
        "1.5 lakh",
        "Rp 12rb",
        "10.5-12.5",
        "$20 - $15",
        "$15 - $20 - $25",
        "- 12,50 €/3 Stk.",
        "1_000",
        "$-5",
        "(5)",
        "$1.5k",
        "9.90, 12.50",
        "#DIV/0!",
        "Err:502",
        "[3, 4]",
        {"currency": "USD", "id": "price_0"},
    ],
)
def test_what_is_no_price_is_refused(cell: object) -> None:
    with pytest.raises(ValueError, match="price must be"):
        price_of(cell)


@pytest.mark.parametrize(
    ("cell", "price"),
    [
        ("99p", 0.99),
        ("1299 p.", 1299.0),
        ("1299p.", 1299.0),
        ("99 ¢", 0.99),
        ("50 ct", 0.5),
        ("£2 p", 2.0),
        ("5 pcs", 5.0),
        ("9.50 p.p.", 9.5),
    ],
)
def test_hundredths_of_a_currency_are_told_from_it(cell: str, price: float) -> None:
    assert price_of(cell) == pytest.approx(price)


@pytest.mark.parametrize(
    ("name", "cells", "sign"),
    [
        ("price", ["1.299", "12,50"], ","),
        ("price", ["1.299", "12.50 €"], "."),
        ("price", ["1,299.00", "12,50"], ""),
        ("price", ["1.299", "899"], ""),
        ("Preis €", ["1.299", "899"], ","),
        ("price_eur", ["1.299"], ","),
        ("Price $", ["1,299"], ""),
        ("Preis €", [1.299, 12.5], ""),
    ],
)
def test_the_column_tells_its_decimal_sign(name: str, cells: list[object], sign: str) -> None:
    assert decimal_sign_of(name, cells) == sign


@pytest.mark.parametrize(
    ("cell", "decimal", "price"),
    [
        ("1.299", ",", 1299.0), ("1,299", ",", 1.299), ("1.299 €", ".", 1.299),
        ("1,299", ".", 1299.0), ("12.50", ",", 12.5), ("12,50", ".", 12.5), (1.299, ",", 1.299),
        ("KWD 12.500", ",", 12.5),
    ],
)  # fmt: skip
def test_the_sign_decides_what_is_doubtful_alone(
    cell: object, decimal: DecimalSign, price: float
) -> None:
    assert price_of(cell, decimal) == price


@pytest.mark.parametrize(
    "cell",
    ["12,50-", "1.299,00-", "5-", "01. Okt", "12. Mai", "Jan 05", "5-Dec", "01.05.2024"]
    + ["1.5.24", "2024.05.01", "1.2.3", "12,50,30"],
)
def test_a_sign_behind_and_a_date_are_no_price(cell: str) -> None:
    with pytest.raises(ValueError, match="zero or more"):
        price_of(cell)


@pytest.mark.parametrize(
    ("cell", "price"), [("12.-", 12), ("1.299,-", 1299), ("24,- €", 24), ("12 Mark", 12)]
)
def test_a_dash_may_stand_for_the_decimals(cell: str, price: float) -> None:
    assert price_of(cell) == price


def test_three_decimals_below_one_tell_the_sign() -> None:
    assert decimal_sign_of("Preis/kg", ["1,299", "0,995", "12,500"]) == ","
    assert decimal_sign_of("price", ["1,299", "12,500"]) == ""
