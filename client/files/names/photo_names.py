"""Which columns of photos are of the product, by their names, and which of them comes first."""

from __future__ import annotations

import re

from twinshelf.client.files.names.plain_name import is_of_part, pattern, plain_name

_OTHER = pattern(
    "logo|avatar|swatch|icon(?!ic)|flag|banner|badge|seller|vendor|brand|manufactur|shop(?!ify)|store|categor"
    "|kategor|review|user|author|owner|customer|video|size|energ|ingredient|nutrition|chart|barcode|certific"
)
_MAIN = pattern(
    "main|default|first|cover|primary|hero|featured|haupt|titelbild|princip|hoofd|glown|hlavn|huvud|hoved|paakuva"
    "|anagorsel|anaresim|kapak|главн|основн|обложк|головн|主图|主圖|メイン|代表|대표|메인|封面|首图"
)
_FURTHER = pattern(
    "additional|other|extra|more|second|further|alternat|variant|weiter|zusatz|adicional|secund"
    "|suppl|aggiuntiv|dodat|dalsi|andere|overig|ekstra|ovriga|lisakuva|diger|ekgorsel|ekresim"
    "|доп|додатк|その他|サブ|추가|附图|副图|辅图"
)

_LARGE = pattern("highres|hires|large|fullsize|zoom|gross|grande")


def is_other_photo(column: str) -> bool:
    """Whether a column's name says that its photos are not of the product: "seller_avatar"."""
    return _OTHER.search(plain_name(column)) is not None


def photo_order(column: str) -> tuple[bool, int, bool, int]:
    """What columns of photos are sorted by: the main one, large ones, by number, further ones.

    Those of a variant come behind the product's own.
    """
    name = plain_name(column)
    rank = 2 if _FURTHER.search(name) else 0 if _MAIN.search(name) else 1
    numbers = re.findall(r"\d+", column)
    is_large = _LARGE.search(column.casefold())  # a size may stand in brackets
    return is_of_part(column), rank, not is_large, int(numbers[-1][:9]) if numbers else 0
