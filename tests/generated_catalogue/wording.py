"""Wording of the generated catalogue: what makers and sellers write of the same product."""

from __future__ import annotations

import html
import random

from tests.generated_catalogue.assortment import Item
from tests.generated_catalogue.vocabulary import DEPARTMENTS, WORDS
from twinshelf.training.catalogues.product import Product

FILLERS = {
    "en": ("NEW", "best price", "original", "in stock", "fast delivery", "100% genuine"),
    "ru": ("НОВИНКА", "акция", "оригинал", "в наличии", "скидка", "быстрая доставка"),
}
# Orders in which sellers put the parts of a title.
ORDERS = ("BLKVS", "KBLVS", "KVBLS", "BKLSV", "BLVKS", "SBLKV")
VOWELS = "aeiouаеиоуыэюя"


def word_canonically(item: Item) -> Product:
    """Words a product as its maker does: complete, in English, with a Russian line below.

    Returns:
        The maker's row, without its photo.
    """
    kind, variant, size = item.kind, item.variant, item.size.printed("en")
    return Product(
        product_id=item.group,
        title=f"{item.brand.name} {item.line} {kind.english} {variant.english}, {size}",
        description=(
            f"{item.brand.name} {item.line}: {kind.english}, {variant.english}, {size}. "
            f"{item.line} {kind.russian}, {variant.russian}, {item.size.printed('ru')}."
        ),
        category=_category(item, "en"),
        brand=item.brand.name,
        seller=item.brand.name,
        price=item.price,
        attributes={kind.property_name: variant.english, "size": size},
        group=item.group,
    )


def word_offer(item: Item, language: str, rng: random.Random) -> Product:
    """Words a product as a seller does: reordered, shortened, misspelt, with fillers.

    Args:
        item: The product.
        language: "en" or "ru".
        rng: Source of the seller's habits.

    Returns:
        The seller's row, without photo and seller.
    """
    name = item.brand.russian if language == "ru" and rng.random() < 0.3 else item.brand.name
    attributes = {}
    if rng.random() < 0.4:
        attributes[WORDS[item.kind.property_name].said(language)] = item.variant.said(language)
    if rng.random() < 0.4:
        attributes[WORDS["size"].said(language)] = _reworded_size(item, language, rng)
    return Product(
        product_id=item.group,
        title=_seller_title(item, name, language, rng),
        description=_seller_description(item, name, language, rng),
        category=_category(item, language) if rng.random() < 0.7 else "",
        brand=name if rng.random() < 0.5 else "",
        price=round(item.price * rng.uniform(0.85, 1.2), 2),
        attributes=attributes,
        group=item.group,
    )


def _category(item: Item, language: str) -> str:
    kind = item.kind.said(language).capitalize()
    return f"{DEPARTMENTS[item.kind.department].said(language)} > {kind}"


def _seller_title(item: Item, brand: str, language: str, rng: random.Random) -> str:
    parts = {
        "B": brand,
        "L": item.line if rng.random() > 0.08 else "",
        "K": item.kind.said(language),
        "V": item.variant.said(language),
        "S": _reworded_size(item, language, rng) if rng.random() > 0.06 else "",
    }
    if rng.random() < 0.3:
        parts["K"] = item.kind.short[language == "ru"]
    spoilt = rng.choice("BLKV")
    if rng.random() < 0.35 and len(parts[spoilt]) > 4:
        parts[spoilt] = rng.choice((_swap, _drop, _double, _without_vowels))(parts[spoilt], rng)
    words = [parts[letter] for letter in rng.choice(ORDERS) if parts[letter]]
    if rng.random() < 0.25:
        words.insert(rng.choice((0, len(words))), rng.choice(FILLERS[language]))
    title = rng.choice((" ", " ", " ", ", ", " - ")).join(words)
    chance = rng.random()
    if chance < 0.15:
        return title.upper()
    return title.lower() if chance < 0.4 else title


def _reworded_size(item: Item, language: str, rng: random.Random) -> str:
    """Writes an amount in one of the ways in which sellers write it: 1 l, 1L, 1000 ml."""
    size = item.size
    small = {"l": "ml", "kg": "g"}.get(size.unit)
    if small and rng.random() < 0.3:
        return f"{size.amount * 1000:g} {WORDS[small].said(language)}"
    printed = size.printed(language)
    if rng.random() < 0.4:
        return printed.replace(" ", "")
    return printed + "." if rng.random() < 0.1 else printed


def _seller_description(item: Item, brand: str, language: str, rng: random.Random) -> str:
    if rng.random() < 0.35:
        return ""
    kind, variant = item.kind.said(language).capitalize(), item.variant.said(language)
    line, size = item.line, item.size.printed(language)
    sentences = {
        "ru": (
            f"{kind} {brand} — {variant}.",
            f"Серия {line}, упаковка {size}.",
            "Отправим в день заказа.",
            "Беречь от детей и солнечных лучей.",
        ),
        "en": (
            f"{kind} by {brand}, {variant}.",
            f"{line} series, pack of {size}.",
            "Ships the same day.",
            "Keep away from children & sunlight.",
        ),
    }[language]
    chosen = [sentence for sentence in sentences if rng.random() < 0.6]
    if rng.random() < 0.3:
        return "<p>" + "</p><p>".join(html.escape(sentence) for sentence in chosen) + "</p>"
    return " ".join(chosen)


def _swap(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _drop(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1 :]


def _double(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + word[at - 1] + word[at:]


def _without_vowels(word: str, rng: random.Random) -> str:
    """Shortens a word as hurried sellers do: its first letters stay, later vowels go."""
    keep = rng.randint(2, 3)
    return word[:keep] + "".join(letter for letter in word[keep:] if letter.lower() not in VOWELS)
