"""Words of the generated catalogue: brands, goods, variants and sizes, in two languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Colour = tuple[int, int, int]
Department = Literal["food", "care", "home"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A flavour, scent or colour that sets the members of a family apart.

    Attributes:
        english: Its name in English.
        russian: Its name in Russian.
        colour: Colour that packages of this variant carry, RGB 0 to 255.
        picture: Name of the pictogram printed on the package.
    """

    english: str
    russian: str
    colour: Colour
    picture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """An amount, as it is printed.

    Attributes:
        amount: Number, in `unit`.
        unit: Key of `UNITS`.
    """

    amount: float
    unit: str

    def printed(self, language: str) -> str:
        """Returns the amount with its unit, e.g. "0.5 l" for "en" and "0,5 л" for "ru"."""
        number = f"{self.amount:g}"
        if language == "ru":
            number = number.replace(".", ",")
        return f"{number} {UNITS[self.unit][language]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of goods.

    Attributes:
        english: Type word in English, also the last part of the category.
        russian: Type word in Russian.
        short: Abbreviations that sellers use: English, Russian.
        department: Department that it stands in.
        property_name: What its variants are: a key of `PROPERTIES`.
        forms: Packages it comes in.
        variants: Keys of `VARIANTS`.
        sizes: Amounts it is sold in, rising.
        price: Usual price of the smallest amount.
    """

    english: str
    russian: str
    short: tuple[str, str]
    department: Department
    property_name: str
    forms: tuple[str, ...]
    variants: tuple[str, ...]
    sizes: tuple[Size, ...]
    price: float


UNITS = {
    "ml": {"en": "ml", "ru": "мл"},
    "l": {"en": "l", "ru": "л"},
    "g": {"en": "g", "ru": "г"},
    "kg": {"en": "kg", "ru": "кг"},
    "bags": {"en": "bags", "ru": "пак"},
    "sheets": {"en": "sheets", "ru": "листов"},
}
PROPERTIES = {
    "flavour": {"en": "flavour", "ru": "вкус"},
    "scent": {"en": "scent", "ru": "аромат"},
    "colour": {"en": "colour", "ru": "цвет"},
    "type": {"en": "type", "ru": "тип"},
}
DEPARTMENTS = {
    "food": {"en": "Food and drinks", "ru": "Продукты и напитки"},
    "care": {"en": "Beauty and care", "ru": "Красота и уход"},
    "home": {"en": "Home and hobby", "ru": "Дом и хобби"},
}


def _variant(english: str, russian: str, colour: Colour, picture: str) -> Variant:
    return Variant(english=english, russian=russian, colour=colour, picture=picture)


VARIANTS = {
    variant.english: variant
    for variant in (
        _variant("orange", "апельсин", (245, 140, 20), "citrus"),
        _variant("lemon", "лимон", (250, 220, 40), "citrus"),
        _variant("lime", "лайм", (150, 205, 50), "citrus"),
        _variant("apple", "яблоко", (105, 175, 45), "fruit"),
        _variant("peach", "персик", (255, 180, 130), "fruit"),
        _variant("cherry", "вишня", (165, 15, 45), "cherries"),
        _variant("strawberry", "клубника", (230, 40, 70), "berry"),
        _variant("blueberry", "черника", (70, 75, 165), "berries"),
        _variant("vanilla", "ваниль", (250, 235, 190), "flower"),
        _variant("chocolate", "шоколад", (95, 55, 30), "bean"),
        _variant("honey", "мёд", (235, 170, 40), "drop"),
        _variant("nuts", "орех", (175, 125, 75), "bean"),
        _variant("mint", "мята", (90, 200, 165), "leaf"),
        _variant("lavender", "лаванда", (155, 120, 205), "flower"),
        _variant("rose", "роза", (240, 130, 165), "flower"),
        _variant("aloe", "алоэ", (120, 190, 100), "leaf"),
        _variant("coconut", "кокос", (240, 235, 225), "fruit"),
        _variant("sea", "море", (40, 130, 200), "waves"),
        _variant("cheese", "сыр", (255, 200, 50), "wedge"),
        _variant("bacon", "бекон", (200, 70, 50), "waves"),
        _variant("onion", "лук", (125, 165, 60), "drop"),
        _variant("paprika", "паприка", (215, 50, 30), "pepper"),
        _variant("salt", "соль", (70, 130, 200), "crystal"),
        _variant("chicken", "курица", (240, 190, 80), "heart"),
        _variant("beef", "говядина", (150, 50, 40), "heart"),
        _variant("salmon", "лосось", (245, 130, 110), "fish"),
        _variant("classic", "классический", (120, 30, 40), "star"),
        _variant("strong", "крепкий", (40, 35, 40), "star"),
        _variant("mild", "мягкий", (225, 200, 160), "star"),
        _variant("green", "зелёный", (50, 145, 70), "leaf"),
        _variant("black", "чёрный", (35, 35, 40), "leaf"),
        _variant("red", "красный", (205, 30, 35), "star"),
        _variant("blue", "синий", (35, 75, 175), "star"),
        _variant("yellow", "жёлтый", (250, 210, 50), "star"),
        _variant("white", "белый", (245, 245, 240), "star"),
        _variant("grey", "серый", (135, 140, 145), "star"),
    )
}
MILLILITRES = {
    amount: Size(amount=amount, unit="ml") for amount in (75, 125, 250, 330, 400, 500, 750)
}
LITRES = {amount: Size(amount=amount, unit="l") for amount in (0.5, 0.9, 1, 1.5, 2, 2.5, 5)}
GRAMS = {
    amount: Size(amount=amount, unit="g") for amount in (80, 120, 150, 200, 250, 350, 400, 500)
}
FRUIT = ("orange", "apple", "peach", "cherry", "strawberry", "lemon", "blueberry")
SCENTS = ("lavender", "rose", "aloe", "mint", "coconut", "sea", "lemon")
COLOURS = ("red", "blue", "green", "yellow", "white", "black", "grey")


def _kind(
    names: tuple[str, str, str, str],
    department: Department,
    property_name: str,
    forms: str,
    variants: tuple[str, ...],
    sizes: tuple[Size, ...],
    price: float,
) -> Kind:
    english, russian, *short = names
    return Kind(
        english=english,
        russian=russian,
        short=(short[0], short[1]),
        department=department,
        property_name=property_name,
        forms=tuple(forms.split()),
        variants=variants,
        sizes=sizes,
        price=price,
    )


KINDS = (
    _kind(("juice", "сок", "jce", "сок"), "food", "flavour", "carton bottle",
          FRUIT, (LITRES[1], LITRES[2]), 95),
    _kind(("soda", "лимонад", "soda", "лимон-д"), "food", "flavour", "can",
          ("orange", "lemon", "lime", "cherry", "mint"), (MILLILITRES[330], MILLILITRES[500]), 60),
    _kind(("yoghurt", "йогурт", "yog.", "йогурт"), "food", "flavour", "cup",
          ("strawberry", "peach", "vanilla", "blueberry", "cherry", "honey"),
          (GRAMS[120], GRAMS[350]), 45),
    _kind(("coffee", "кофе", "coff.", "кофе"), "food", "type", "pouch jar tin",
          ("classic", "strong", "mild", "vanilla"), (GRAMS[120], GRAMS[250]), 320),
    _kind(("tea", "чай", "tea", "чай"), "food", "type", "box tin",
          ("green", "black", "mint", "lemon", "rose"),
          (Size(amount=25, unit="bags"), Size(amount=100, unit="bags")), 120),
    _kind(("chips", "чипсы", "chps", "чипс."), "food", "flavour", "bag",
          ("cheese", "bacon", "onion", "paprika", "salt"), (GRAMS[80], GRAMS[150]), 90),
    _kind(("cereal", "хлопья", "cereal", "хлоп."), "food", "flavour", "box",
          ("chocolate", "honey", "nuts", "strawberry", "apple"), (GRAMS[250], GRAMS[500]), 160),
    _kind(("jam", "джем", "jam", "джем"), "food", "flavour", "jar",
          ("strawberry", "cherry", "peach", "orange", "blueberry"),
          (GRAMS[200], GRAMS[400]), 140),
    _kind(("cookies", "печенье", "cook.", "печ."), "food", "flavour", "box bag",
          ("chocolate", "vanilla", "nuts", "coconut", "honey"), (GRAMS[150], GRAMS[400]), 110),
    _kind(("shampoo", "шампунь", "shmp", "шамп."), "care", "scent", "flacon",
          SCENTS, (MILLILITRES[250], MILLILITRES[400]), 210),
    _kind(("liquid soap", "жидкое мыло", "liq. soap", "ж/мыло"), "care", "scent", "pump",
          SCENTS, (MILLILITRES[250], MILLILITRES[500]), 130),
    _kind(("hand cream", "крем для рук", "hand cr.", "крем д/рук"), "care", "scent", "tube jar",
          SCENTS, (MILLILITRES[75], MILLILITRES[125]), 150),
    _kind(("toothpaste", "зубная паста", "toothp.", "з/паста"), "care", "flavour", "tube",
          ("mint", "lemon", "classic", "strawberry", "salt"),
          (MILLILITRES[75], MILLILITRES[125]), 170),
    _kind(("window cleaner", "средство для окон", "window cl.", "ср-во д/окон"), "home", "scent",
          "spray", ("lemon", "sea", "mint", "lavender"), (MILLILITRES[500], MILLILITRES[750]), 180),
    _kind(("washing gel", "гель для стирки", "wash. gel", "гель д/стирки"), "home", "scent", "jug",
          ("lavender", "sea", "rose", "aloe", "coconut"), (LITRES[1], LITRES[2.5]), 390),
    _kind(("paint", "краска", "pnt", "краска"), "home", "colour", "pail",
          COLOURS, (LITRES[0.9], LITRES[2.5]), 540),
    _kind(("cat food", "корм для кошек", "cat fd", "корм д/кошек"), "home", "flavour", "pouch tin",
          ("chicken", "beef", "salmon", "cheese"), (GRAMS[80], GRAMS[400]), 70),
    _kind(("mug", "кружка", "mug", "кружка"), "home", "colour", "mug",
          COLOURS, (MILLILITRES[250], MILLILITRES[400]), 350),
    _kind(("thermos", "термос", "therm.", "терм."), "home", "colour", "thermos",
          COLOURS, (LITRES[0.5], LITRES[1]), 1490),
    _kind(("notebook", "блокнот", "notebk", "блокн."), "home", "colour", "notebook",
          COLOURS, (Size(amount=48, unit="sheets"), Size(amount=96, unit="sheets")), 160),
)  # fmt: skip

# Each with the spelling that Russian sellers write when they do not keep the Latin one.
BRANDS: dict[Department, tuple[tuple[str, str], ...]] = {
    "food": (
        ("Solvia", "Солвиа"), ("Marden", "Марден"), ("Bonaro", "Бонаро"),
        ("Tikka Hill", "Тикка Хилл"), ("Frutelle", "Фрутель"), ("Karvon", "Карвон"),
        ("Oldmill", "Олдмилл"), ("Pepito", "Пепито"), ("Nordea Farm", "Нордеа Фарм"),
        ("Zumba", "Зумба"), ("Lakomo", "Лакомо"), ("Dolcira", "Дольчира"),
        ("Hopper", "Хоппер"), ("Vitalo", "Витало"), ("Brusko", "Бруско"),
        ("Grandeur", "Грандёр"),
    ),
    "care": (
        ("Alveta", "Альвета"), ("Lumiq", "Люмик"), ("Nivora", "Нивора"),
        ("Dr. Hagen", "Доктор Хаген"), ("Seraphine", "Серафин"), ("Botanix", "Ботаникс"),
        ("Clearo", "Клиаро"), ("Mirelle", "Мирель"), ("Pureline", "Пюрлайн"),
        ("Velour", "Велюр"), ("Ozone", "Озон"), ("Kameya", "Камея"),
    ),
    "home": (
        ("Hausman", "Хаусман"), ("Brillo", "Брилло"), ("Tekora", "Текора"),
        ("Fox & Co", "Фокс и Ко"), ("Murzik", "Мурзик"), ("Stelton", "Стелтон"),
        ("Domos", "Домос"), ("Kraftwell", "Крафтвелл"), ("Polaris Nord", "Поларис Норд"),
        ("Umbra", "Умбра"), ("Zenit", "Зенит"), ("Ostrov", "Остров"),
    ),
}  # fmt: skip
LINES = (
    "Sunrise", "Balance", "Premium", "Nature", "Gold", "Family", "Active", "Royal",
    "Fresh", "Deluxe", "Harmony", "Express", "Garden", "Magic", "Origin", "Comfort",
    "Energy", "Grand", "Velvet", "Alpine", "Prestige", "Crystal", "Urban", "Delight",
)  # fmt: skip
# Name, language it writes in, mark it leaves on photos.
SELLERS = (
    ("MegaStore", "en", "none"), ("Лавка24", "ru", "watermark"), ("QuickBuy", "en", "badge"),
    ("Добрый Дом", "ru", "border"), ("Shopzilla", "en", "strip"), ("Всё Сразу", "ru", "none"),
    ("Corner Market", "en", "watermark"), ("Товарищ", "ru", "badge"), ("DealPoint", "en", "border"),
    ("Универмаг №1", "ru", "strip"),
)  # fmt: skip
