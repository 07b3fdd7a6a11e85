"""Words of the generated catalogue: brands, goods, variants and sizes, in two languages.

The records are rows of the tables below, so their fields are given by place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Colour = tuple[int, int, int]
Department = Literal["food", "care", "home"]


@dataclass(frozen=True, slots=True)
class Word:
    """What has a name in both languages.

    Attributes:
        english: Its name in English.
        russian: Its name in Russian.
    """

    english: str
    russian: str

    def said(self, language: str) -> str:
        """Returns the name in "en" or "ru"."""
        return self.russian if language == "ru" else self.english


@dataclass(frozen=True, slots=True)
class Variant(Word):
    """A flavour, scent or colour that sets the members of a family apart.

    Attributes:
        colour: Colour that packages of this variant carry, RGB 0 to 255.
        picture: Name of the pictogram printed on the package.
    """

    colour: Colour
    picture: str


@dataclass(frozen=True, slots=True)
class Size:
    """An amount, as it is printed.

    Attributes:
        amount: Number, in `unit`.
        unit: Its unit in English, a key of `WORDS`.
    """

    amount: float
    unit: str

    def printed(self, language: str) -> str:
        """Returns the amount with its unit, e.g. "0.5 l" for "en" and "0,5 л" for "ru"."""
        number = f"{self.amount:g}"
        if language == "ru":
            number = number.replace(".", ",")
        return f"{number} {WORDS[self.unit].said(language)}"


@dataclass(frozen=True, slots=True)
class Kind(Word):
    """A kind of goods; its name is also the last part of the category.

    Attributes:
        short: Abbreviations that sellers use: English, Russian.
        department: Department that it stands in.
        property_name: What its variants are: a key of `WORDS`.
        forms: Packages it comes in.
        variants: Keys of `VARIANTS`.
        sizes: Amounts it is sold in, rising.
        price: Usual price of the smallest amount.
    """

    short: tuple[str, str]
    department: Department
    property_name: str
    forms: tuple[str, ...]
    variants: tuple[str, ...]
    sizes: tuple[Size, ...]
    price: float


WORDS = {
    english: Word(english, russian)
    for english, russian in (
        ("ml", "мл"), ("l", "л"), ("g", "г"), ("kg", "кг"), ("bags", "пак"), ("sheets", "листов"),
        ("flavour", "вкус"), ("scent", "аромат"), ("colour", "цвет"), ("type", "тип"),
        ("size", "объём"),
    )
}  # fmt: skip
DEPARTMENTS: dict[Department, Word] = {
    "food": Word("Food and drinks", "Продукты и напитки"),
    "care": Word("Beauty and care", "Красота и уход"),
    "home": Word("Home and hobby", "Дом и хобби"),
}
VARIANTS = {
    variant.english: variant
    for variant in (
        Variant("orange", "апельсин", (245, 140, 20), "citrus"),
        Variant("lemon", "лимон", (250, 220, 40), "citrus"),
        Variant("lime", "лайм", (150, 205, 50), "citrus"),
        Variant("apple", "яблоко", (105, 175, 45), "fruit"),
        Variant("peach", "персик", (255, 180, 130), "fruit"),
        Variant("cherry", "вишня", (165, 15, 45), "cherries"),
        Variant("strawberry", "клубника", (230, 40, 70), "berry"),
        Variant("blueberry", "черника", (70, 75, 165), "berries"),
        Variant("vanilla", "ваниль", (250, 235, 190), "flower"),
        Variant("chocolate", "шоколад", (95, 55, 30), "bean"),
        Variant("honey", "мёд", (235, 170, 40), "drop"),
        Variant("nuts", "орех", (175, 125, 75), "bean"),
        Variant("mint", "мята", (90, 200, 165), "leaf"),
        Variant("lavender", "лаванда", (155, 120, 205), "flower"),
        Variant("rose", "роза", (240, 130, 165), "flower"),
        Variant("aloe", "алоэ", (120, 190, 100), "leaf"),
        Variant("coconut", "кокос", (240, 235, 225), "fruit"),
        Variant("sea", "море", (40, 130, 200), "waves"),
        Variant("cheese", "сыр", (255, 200, 50), "wedge"),
        Variant("bacon", "бекон", (200, 70, 50), "waves"),
        Variant("onion", "лук", (125, 165, 60), "drop"),
        Variant("paprika", "паприка", (215, 50, 30), "pepper"),
        Variant("salt", "соль", (70, 130, 200), "crystal"),
        Variant("chicken", "курица", (240, 190, 80), "heart"),
        Variant("beef", "говядина", (150, 50, 40), "heart"),
        Variant("salmon", "лосось", (245, 130, 110), "fish"),
        Variant("classic", "классический", (120, 30, 40), "star"),
        Variant("strong", "крепкий", (40, 35, 40), "star"),
        Variant("mild", "мягкий", (225, 200, 160), "star"),
        Variant("green", "зелёный", (50, 145, 70), "leaf"),
        Variant("black", "чёрный", (35, 35, 40), "leaf"),
        Variant("red", "красный", (205, 30, 35), "star"),
        Variant("blue", "синий", (35, 75, 175), "star"),
        Variant("yellow", "жёлтый", (250, 210, 50), "star"),
        Variant("white", "белый", (245, 245, 240), "star"),
        Variant("grey", "серый", (135, 140, 145), "star"),
    )
}
FRUIT = ("orange", "apple", "peach", "cherry", "strawberry", "lemon", "blueberry")
SCENTS = ("lavender", "rose", "aloe", "mint", "coconut", "sea", "lemon")
COLOURS = ("red", "blue", "green", "yellow", "white", "black", "grey")


def _sizes(unit: str, *amounts: float) -> tuple[Size, ...]:
    return tuple(Size(amount, unit) for amount in amounts)


KINDS = (
    Kind("juice", "сок", ("jce", "сок"), "food", "flavour", ("carton", "bottle"),
         FRUIT, _sizes("l", 1, 2), 95),
    Kind("soda", "лимонад", ("soda", "лимон-д"), "food", "flavour", ("can",),
         ("orange", "lemon", "lime", "cherry", "mint"), _sizes("ml", 330, 500), 60),
    Kind("yoghurt", "йогурт", ("yog.", "йогурт"), "food", "flavour", ("cup",),
         ("strawberry", "peach", "vanilla", "blueberry", "cherry", "honey"),
         _sizes("g", 120, 350), 45),
    Kind("coffee", "кофе", ("coff.", "кофе"), "food", "type", ("pouch", "jar", "tin"),
         ("classic", "strong", "mild", "vanilla"), _sizes("g", 120, 250), 320),
    Kind("tea", "чай", ("tea", "чай"), "food", "type", ("box", "tin"),
         ("green", "black", "mint", "lemon", "rose"),
         _sizes("bags", 25, 100), 120),
    Kind("chips", "чипсы", ("chps", "чипс."), "food", "flavour", ("bag",),
         ("cheese", "bacon", "onion", "paprika", "salt"), _sizes("g", 80, 150), 90),
    Kind("cereal", "хлопья", ("cereal", "хлоп."), "food", "flavour", ("box",),
         ("chocolate", "honey", "nuts", "strawberry", "apple"), _sizes("g", 250, 500), 160),
    Kind("jam", "джем", ("jam", "джем"), "food", "flavour", ("jar",),
         ("strawberry", "cherry", "peach", "orange", "blueberry"),
         _sizes("g", 200, 400), 140),
    Kind("cookies", "печенье", ("cook.", "печ."), "food", "flavour", ("box", "bag"),
         ("chocolate", "vanilla", "nuts", "coconut", "honey"), _sizes("g", 150, 400), 110),
    Kind("shampoo", "шампунь", ("shmp", "шамп."), "care", "scent", ("flacon",),
         SCENTS, _sizes("ml", 250, 400), 210),
    Kind("liquid soap", "жидкое мыло", ("liq. soap", "ж/мыло"), "care", "scent", ("pump",),
         SCENTS, _sizes("ml", 250, 500), 130),
    Kind("hand cream", "крем для рук", ("hand cr.", "крем д/рук"), "care", "scent", ("tube", "jar"),
         SCENTS, _sizes("ml", 75, 125), 150),
    Kind("toothpaste", "зубная паста", ("toothp.", "з/паста"), "care", "flavour", ("tube",),
         ("mint", "lemon", "classic", "strawberry", "salt"),
         _sizes("ml", 75, 125), 170),
    Kind("window cleaner", "средство для окон", ("window cl.", "ср-во д/окон"), "home", "scent",
         ("spray",), ("lemon", "sea", "mint", "lavender"), _sizes("ml", 500, 750), 180),
    Kind("washing gel", "гель для стирки", ("wash. gel", "гель д/стирки"), "home", "scent",
         ("jug",), ("lavender", "sea", "rose", "aloe", "coconut"), _sizes("l", 1, 2.5), 390),
    Kind("paint", "краска", ("pnt", "краска"), "home", "colour", ("pail",),
         COLOURS, _sizes("l", 0.9, 2.5), 540),
    Kind("cat food", "корм для кошек", ("cat fd", "корм д/кошек"), "home", "flavour",
         ("pouch", "tin"), ("chicken", "beef", "salmon", "cheese"), _sizes("g", 80, 400), 70),
    Kind("mug", "кружка", ("mug", "кружка"), "home", "colour", ("mug",),
         COLOURS, _sizes("ml", 250, 400), 350),
    Kind("thermos", "термос", ("therm.", "терм."), "home", "colour", ("thermos",),
         COLOURS, _sizes("l", 0.5, 1), 1490),
    Kind("notebook", "блокнот", ("notebk", "блокн."), "home", "colour", ("notebook",),
         COLOURS, _sizes("sheets", 48, 96), 160),
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
