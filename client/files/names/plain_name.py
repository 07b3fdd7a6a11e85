"""The plain form of a column's name, in which shops, programs and languages agree."""

from __future__ import annotations

import re
import unicodedata

# Letters that no accent parts from their plain form.
_STROKED = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe"})


def folded(text: str) -> str:
    """Small letters without accents; sounds of Japanese and Korean lose their marks as well."""
    text = unicodedata.normalize("NFKD", text).casefold().translate(_STROKED)
    return "".join(c for c in text if not unicodedata.category(c).startswith("M"))


def pattern(words: str) -> re.Pattern[str]:
    """A pattern for folded names."""
    return re.compile(folded(words))


# Marketplaces put these before or behind a field's name, without a meaning of their own.
_PREFIXES = ("ps", "g", "c", "et", "prod", "p", "ie", "v")
# "en_name", "de-description"
_LANGUAGES = frozenset(
    "de en fr it es nl pl pt cs cz sk hu ro ru uk ua tr sv da fi ja ko zh ar he".split()
)
_IN_LANGUAGES = ("name", "title", "titel", "desc")
CURRENCIES = frozenset(
    "rub руб eur usd gbp pln zl inr rs idr uah грн chf czk kc huf ft sek nok dkk kr ron lei bgn лв"
    " try tl brl r mxn ars clp cop aud cad jpy krw cny ils aed sar zar rp vnd vnđ thb myr php"
    " sgd hkd twd nt gel kzt byn rsd bam egp mad ngn kes pen uyu 円 元 원".split()
)
PHOTO_WORD = pattern(
    "image|img|photo|picture|(?<!to)(?<!tro)(?<![es])pic(?!k|al|nic|col)|bild|foto|imagen|immagin|imagem|zdjeci|gambar|фото|изображ|картин"
    "|画像|图片|圖片|主图|이미지|gorsel|صور|obraz|afbeeld|billed|^(?:tuote)?kuva(?!us)|^kep(?:ek|url|link)?[0-9]*$"
    "|resim|зображ|снимк|^slik[ae]|εικον|תמונ|รูป|hinhanh|^poza|^pilt|nuotrauk|^attel"
    "|^cover(?:url)?$|^visuel|медиафайл"
)
# One language's layer: "manufacturer.translations.DEFAULT.name".
_TRANSLATION = re.compile(r"(?:^|(?<=\.))translations\.[^.]+\.")
# "Item #" is a number, no item.
_NUMBER_SIGN = re.compile(r"\b(item|product|part|article)\s*(?:#|№|n°)\s*$", re.IGNORECASE)
# What Odoo refers to: "Product Category/Complete Name", "categ_id/display_name".
_NAME_BEHIND = re.compile(
    r"(?:(?<=\w)/(?:complete|display)[ _]name|(?:(?<=categ_id)|(?<=category))/name)$", re.IGNORECASE
)
_IN_BRACKETS = re.compile(r"\s*[(\[（][^()\[\]（）]*[)\]）]\s*\**\s*$")
# Shopee's templates mark each name, "ps_price|1|1", RecBole's tables the kind of "price:float", and
# Solr's as well: "name_s", "cat_ss".
_MARKS = re.compile(r"(?:\|\d+)+$|:(?:token|float)(?:_seq)?$|(?<=[a-z])_(?:[ist]s?|f)$")
# Objects around a product, or around its price, in JSON: "_source.title", "offers.price".
WRAPPERS = (
    "_source", "fields", "node", "data", "product", "item", "properties", "values", "row", "info",
    "details", "article_details", "product_details", "номенклатура", "товар", "offers", "variants",
    "variations", "skus", "items", "translations", "summaries", "payload", "metadata",
)  # fmt: skip
# Of these a product has several: what they hold is not its own.
PARTS = ("offers", "variants", "variations", "skus", "items")
# Shopify writes each variant and photo in a line behind its product's, whose identifier it names.
LINE_OF_PRODUCT = "__parentId"
# The price may stand further within: "items.sellers.commertialOffer.Price".
PRICED_PARTS = (*PARTS, "sellers", "sizes")


def plain_name(column: str) -> str:
    """Reduces a column's name to its letters and digits, in small letters: "Image Src" to imagesrc.

    Numbers at the end of names of photos fall away, so that image1 and image_2 are both an image;
    so does what stands in brackets at the end: "Price (incl. VAT)".
    """
    column = _TRANSLATION.sub("", column)
    outer, _, inner = column.partition(".")
    while inner and outer.casefold() in WRAPPERS:
        column = inner
        outer, _, inner = column.partition(".")
    column = _MARKS.sub("", " ".join(column.split()))  # long blanks would take for ever
    column = _IN_BRACKETS.sub("", column) or column
    column = _NAME_BEHIND.sub("", column)
    column = _NUMBER_SIGN.sub(r"\1 no", column)
    words = re.findall(r"[^\W_]+", folded(column))
    if len(words) > 1 and words[0] in _PREFIXES:
        words = words[1:]
    if len(words) > 1 and words[0] in _LANGUAGES and words[1].startswith(_IN_LANGUAGES):
        words = words[1:]
    if len(words) > 1 and words[-1] in CURRENCIES:
        words = words[:-1]
    plain = "".join(words)
    is_photo = PHOTO_WORD.search(plain)
    return re.sub(r"[0-9]+$", "", plain) if is_photo else plain


def is_of_part(column: str) -> bool:
    """Whether a column is of something that a product has several of: "variants.title"."""
    return column.partition(".")[0].casefold() in PARTS and "." in column


def plain_names(text: str) -> tuple[str, ...]:
    """Returns the plain forms of names between blanks, each once."""
    return tuple(dict.fromkeys(plain_name(name) for name in text.split()))
