"""Prices as shops write them: with currencies, blanks and either decimal sign."""

from __future__ import annotations

import html
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Literal

from twinshelf.client.files.names.plain_name import CURRENCIES, plain_name
from twinshelf.client.files.values.cell_values import text_of

DecimalSign = Literal["", ".", ","]
# Of a nested price in smaller units.
_MOST_DIGITS = 6
_DIVISORS = (1, 10, 100, 1000)
_WHOLE = re.compile(r"\d+(?:\.0)?")
# "specialPrice", "regular_price": the asked price comes before that which is struck out.
_AMOUNT_KEYS = (
    "amount", "value", "", "current", "now", "final", "special", "sale", "discounted", "offer",
    "selling", "regular", "default", "minvariant", "min", "low", "gross", "net", "from", "retail",
    "list", "data", "start", "base", "unit", "ценазаединицу",
)  # fmt: skip
_MOST_NESTED = 4
# A blank parts thousands alone: "12.50, 15.00" are two numbers. The point of "Rs.499" is no sign.
_NUMBER = re.compile(
    r"\d+(?:(?:[.,'’٬٫]|\s(?=\d{3}(?!\d)))\d+)*[.,]?(?:[eE][+-]?\d+)?|(?<![^\W\d_])[.,]\d+"
)
_SIGN = re.compile(r"([.,'’٬٫\s])")
_AMOUNT_WORD = re.compile(r"price|[_\s-]")
_PLAIN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,2})?")
# What may be a thousand and more, or one and three decimals.
_DOUBTFUL = re.compile(r"[1-9]\d{0,2}[.,]\d{3}\s*")
_PLAIN_DECIMALS = re.compile(
    r"(?:\d+|\d{1,3}(?:[.,'’\s]\d{3})+)([.,])(?:\d{1,2}|\d{4,})|0([.,])\d{3}"
)
# What a table program makes of "1.10", "12.5": a date.
_MONTH = (
    r"(?:jan|feb|fev|mar(?!k)|mär|mrz|apr|abr|avr|mai|may|maj|jun|jul|aug|ago|sep|okt|oct|out|nov|dez|dec"
    r"|янв|фев|мар(?!о|к)|апр|май|мая|июн|июл|авг|сен|окт|ноя|дек)[^\W\d_]{0,6}"
)
# Dates, and the errors of table programs: "#DIV/0!", "Err:502".
_NO_PRICE = re.compile(
    rf"\d{{1,2}}[.\s-]*{_MONTH}\W*|{_MONTH}[.\s-]*\d{{1,2}}|#¡?[^\W\d_]+(?:/\w+)?[!?]?|Err:\d+",
    re.IGNORECASE,
)
_PARTED_BY_POINTS = re.compile("harga|^gia|preis|prijs|prezzo|preco|fiyat|^pris|hinta|^pret|cijena")
# Currencies of a thousand parts.
_THREE_DECIMALS = re.compile(r"KWD|BHD|OMR|JOD|TND|IQD|LYD|\bK\.?D\b|د\.|ر\.ع", re.IGNORECASE)
_MULTIPLIED = re.compile(
    r"\s?(?:(?:k|m|mln|mio|tsd|lakhs?|lacs?|crores?|cr|ribu|rb|juta|jt|triệu|tr|тыс|млн|%)(?![^\W\d_])|[万萬億만억])",
    re.IGNORECASE,
)
# A "p" apart from its number, or with a point, is a rouble typed on another keyboard.
_HUNDREDTHS = re.compile(
    r"\s?(?:¢|(?:pence|ct|cts|cents?|коп)(?![^\W\d_]))|p(?![^\W\d_]|\.)", re.IGNORECASE
)
_WHOLE_AND_COMMA = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+")
_BETWEEN_PRICES = re.compile(
    r"\s*(?:[-–—~〜]|(?<![^\W\d_])(?:to|bis|до|à|a)(?![^\W\d_]))\s*(?=\D{0,5}\d)"
)
# What a number beside the price is of: "(3.25 €/100 g)", "/ 100 g", "per box of 6", "19 %".
_BESIDE = re.compile(
    r"(?<=\S)\s*\([^()]*\)\s*$|(?<=\S)\s*(?:/|\b(?:per|pro|je))\s*"
    r"(?:\d+[\s-]?[^\W\d_]+|[^\W\d_]+\s(?:of|à|a|zu|mit|de|da|van|von)\s\d+)\W*$"
    r"|(?<!\S)[-−+]?\d+(?:[.,]\d+)?\s?%",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"<[^<>]*>")
# As in France: "19€99".
_EURO_WITHIN = re.compile(r"(?<=\d)\s?€\s?(?=\d\d(?!\d))")
# What numpy writes before its numbers: "np.float64(3.5)".
_OF_NUMPY = re.compile(r"^(?:np|numpy)\.\w+\(")
_TWO_DECIMALS = re.compile(r"[.,]\d\d(?!\d)")


def price_of(cell: object, decimal: DecimalSign = "") -> float | None:
    """Returns a price; None when the cell is empty.

    Currencies, blanks between thousands and decimal commas are understood, and "99p" or "99 ct"
    of a currency. One sign before exactly three digits is the column's decimal sign or not. Where
    that is unknown a comma parts thousands, and a point too beside a currency: "1.299 €". Else a
    single point is a decimal point. Of a nested price the amount counts, of "$15 - $20" the lower.

    Args:
        cell: The cell; its text counts, or its number.
        decimal: The sign before the decimals in the whole column, where that is known.

    Raises:
        ValueError: If the cell holds anything but one number of zero or more.
    """
    if isinstance(cell, str) and _PLAIN.fullmatch(cell):
        return float(cell)
    cell = _amount_within(cell)
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        if isinstance(cell, float) and math.isnan(cell):
            return None
        text, decimal = repr(cell), "."
    else:
        text = _written(text_of(cell))
    if not text:
        return None
    numbers = _NUMBER.findall(text)
    if len(numbers) > 1 and (alone := _BESIDE.sub("", text)) != text:
        return price_of(alone, decimal)
    if len(numbers) == 2 and (lower := _lower_price(text, decimal)) is not None:
        return lower
    before = text.partition(numbers[0])[0] if numbers else ""
    after = text[len(before) + len(numbers[0]) :] if numbers else ""
    is_negative = before.rstrip().endswith(("-", "−", "("))
    # Some programs write the sign behind: "12,50-". That of "12.-" stands for the decimals.
    is_negative |= after.strip() in ("-", "−") and numbers[0][-1].isdigit()
    is_price = len(numbers) == 1 and not is_negative and not _NO_PRICE.fullmatch(text)
    is_price = is_price and _is_grouped(numbers[0])
    if not is_price or _MULTIPLIED.match(after):
        raise ValueError(f"price must be a number of zero or more, got {text[:40]!r}")
    price = float(_with_decimal_point(numbers[0], before + after, decimal))
    if numbers[0].isdigit() and not before.strip() and _HUNDREDTHS.match(after):
        price /= 100
    if not math.isfinite(price):
        raise ValueError(f"price must be a finite number, got {text[:40]!r}")
    return price


def _written(text: str) -> str:
    """A price without what web pages and numpy write around it: "&#8377;" is no number."""
    if "<" in text or "&" in text:
        text = html.unescape(_ELEMENT.sub(" ", text))
    text = unicodedata.normalize("NFKC", text)
    if not text.isascii():  # the digits of Arabic, Persian and the scripts of India
        text = "".join(str(unicodedata.decimal(sign, sign)) for sign in text)
    return _EURO_WITHIN.sub(",", _OF_NUMPY.sub("", text))


def _lower_price(text: str, decimal: DecimalSign) -> float | None:
    """The lower of two prices with "-" or "to" between; None for what may be sizes or dates."""
    parts = _BETWEEN_PRICES.split(text)
    if len(parts) != 2:
        return None
    if not _names_currency(text) and not all(map(_TWO_DECIMALS.search, parts)):
        return None
    with suppress(ValueError):
        lower, higher = (price_of(part, decimal) for part in parts)
        if lower is not None and higher is not None and lower < higher:
            return lower
    return None


def _amount_within(cell: object) -> object:
    """The cell; of a nested price the amount, of several offers that of the first."""
    if isinstance(cell, (list, tuple)):
        cell = cell[0] if cell else None
    return _amount_of(cell) if isinstance(cell, Mapping) else cell


def _amount_of(price: Mapping[str, object], depth: int = _MOST_NESTED) -> object:
    """The amount of a nested price, in whole units: {"amountMicros": "12990000"} is 12.99.

    Raises:
        ValueError: If none of it is known for an amount.
    """
    # A number with a point is in whole units, however many digits its database keeps behind it.
    is_in_parts = _WHOLE.fullmatch(str(price.get("amount"))) is not None
    in_parts = {
        "amountMicros": 6,
        "unit_amount": 2,
        "centAmount": price.get("fractionDigits", 2),
        "amount": price.get("scale", price.get("precision")) if is_in_parts else None,
        "price": price.get("currency_minor_unit"),
    }
    for key, digits in in_parts.items():
        if price.get(key) in (None, ""):
            continue
        if isinstance(digits, int) and 0 <= digits <= _MOST_DIGITS:
            return float(str(price[key])) / float(10**digits)
    known = {_AMOUNT_WORD.sub("", key.casefold()): value for key, value in price.items()}
    named = [known[key] for key in _AMOUNT_KEYS if key in known]
    if not named and len(price) == 1:
        named = list(price.values())
    named_amounts = [each for each in named if each not in (None, "")]
    # Where there is no sale, some shops say that it is for nothing.
    amount = next((a for a in named_amounts if not _is_zero(a, depth)), [*named_amounts, None][0])
    if isinstance(amount, list) and amount:  # in several currencies
        amount = amount[0]
    if isinstance(amount, Mapping) and depth:
        return _amount_of(amount, depth - 1)
    if price and not named or isinstance(amount, (Mapping, list)):
        text = json.dumps(price, default=str)[:40]
        raise ValueError(f"price must be a number of zero or more, got {text}")
    divisor = price.get("divisor")
    if isinstance(amount, int | float) and divisor in _DIVISORS:
        return float(str(amount)) / float(str(divisor))
    shown = [value for value in price.values() if isinstance(value, str)]
    if isinstance(amount, int) and any(_shows_hundredths(text, amount) for text in shown):
        return amount / 100
    return amount


def _is_zero(amount: object, depth: int) -> bool:
    """Whether an amount, or that within it, is zero."""
    with suppress(ValueError):
        if isinstance(amount, Mapping) and depth:
            amount = _amount_of(amount, depth - 1)
        return isinstance(amount, str | int | float) and float(amount) == 0
    return False


def _shows_hundredths(text: str, amount: int) -> bool:
    """Whether "19,99 €" stands beside 1999."""
    with suppress(ValueError):
        return amount > 0 and price_of(text) == amount / 100
    return False


def decimal_sign_of(name: str, cells: Iterable[object]) -> DecimalSign:
    """Returns the sign before the decimals of a column's prices; "" where that is not plain.

    Prices such as "12,50" tell it, when none is written the other way. Without any, a name with a
    currency, or in a language whose points part thousands, makes a comma the sign where three
    digits follow points alone: "1.299".

    Args:
        name: Of the column.
        cells: Some of its cells.
    """
    texts = [unicodedata.normalize("NFKC", cell) for cell in cells if isinstance(cell, str)]
    numbers = [number for text in texts for number in _NUMBER.findall(text)]
    signs = {found[1] or found[2] for each in numbers if (found := _PLAIN_DECIMALS.fullmatch(each))}
    if not signs and (_names_currency(name) or _PARTED_BY_POINTS.search(plain_name(name))):
        doubtful = {number.strip()[-4] for number in numbers if _DOUBTFUL.fullmatch(number)}
        return "," if doubtful == {"."} else ""
    if len(signs) != 1:
        return ""
    return "," if "," in signs else "."


def _names_currency(text: str) -> bool:
    return any(unicodedata.category(sign) == "Sc" for sign in text) or any(
        word in CURRENCIES for word in re.findall(r"[^\W\d_]+", text.casefold())
    )


def _with_decimal_point(number: str, beside: str, decimal: DecimalSign) -> str:
    """Writes a number as Python reads it; what stands beside it may tell a single point's sense."""
    if _DOUBTFUL.fullmatch(number) and not _THREE_DECIMALS.search(beside):
        if decimal:
            return number.replace(",", ".") if decimal in number else _digits(number)
        if any(sign.isalpha() or unicodedata.category(sign) == "Sc" for sign in beside):
            return _digits(number)
    number = re.sub(r"[\s'’٬]", "", number).replace("٫", ".")
    if _WHOLE_AND_COMMA.fullmatch(number):  # the comma of "1.299,-" is the decimal one
        return _digits(number)
    number = number.rstrip(".,")
    if "," in number and "." in number:
        decimal_sign = max(",.", key=number.rfind)
        other = "." if decimal_sign == "," else ","
        number = number.replace(other, "")
        if number.count(decimal_sign) > 1:
            return _digits(number)
        return number.replace(decimal_sign, ".")
    if _THOUSANDS.fullmatch(number):
        return number.replace(",", "")
    number = number.replace(",", ".")
    return number if number.count(".") <= 1 else _digits(number)


def _is_grouped(number: str) -> bool:
    """Whether signs among the digits can be those of thousands: not those of 01.05.2024."""
    first, *signs_and_groups = _SIGN.split(number.rstrip(".,"))
    signs, groups = signs_and_groups[::2], signs_and_groups[1::2]
    if len(signs) < 2:
        return True
    *inner, last = groups
    # India parts hundred thousands by two digits.
    is_whole = len(last) == 3 or signs[-1] != signs[-2]
    return len(first) <= 3 and is_whole and all(len(group) in (2, 3) for group in inner)


def _digits(number: str) -> str:
    return re.sub(r"[.,]", "", number)
