"""What the name of a column says of it where it is none of the usual ones."""

from __future__ import annotations

import re

from twinshelf.client.files.names.plain_name import (
    PHOTO_WORD,
    folded,
    pattern,
    plain_name,
    plain_names,
)
from twinshelf.client.files.names.price_names import is_sale
from twinshelf.client.files.names.usual_names import USUAL_NAMES

_WORDS = {
    "title": pattern(
        "title|titel|titre|titulo|titolo|tytul|libelle|productname|itemname|bezeichnung|produktname"
        "|^name(?:de|en|fr|es|it|nl|pl|pt|ru)|designation|denumire"
        "|наименован|найменув|назван|^denomina|^benamning|^tradename$|^назив|^naziv|номенклатур|商品名|标题|標題|品名|상품명"
    ),
    "price": pattern(
        "price|preis|prix|precio|preco|prezzo|prijs|цена|cena|cijena|价|價|価格|単価|가격"
        "|ціна|fiyat|hinta|단가|소매가|egysegar|kereskedelmiar|मूल्य$|^dongia|^(?:sell(?:ing)?|sales?)rate|pris(?:$|eks|exk|exc|ink|m.?moms)|^pret(?!t)|^tarif(?:promo|reg|base|public|vente|ttc)|^ver[dð](?:$|med|an)|^p[uv](?:ht|ttc)|^(?:std)?vk|vk$|^pvp|eladasiar"
        "|(?:muugi|jae|tava|soodus)hind|kaina$|^kaina|(?:ut)?soluver[dð]|^preu(?:de)?(?:venda|public|final)|kiskerar$"
        "|^cmimi|^hind(?:koos|ilma|km)|^ar(?:afaval|afanelkul|brutto|netto)|^税[込抜]"
        "|^τιμη|τιμη$|^السعر|^قیمت|^harga|^gia(?:ban|baogom|ca|chua|co|goc|khuyen|le|nhap|niem|si|von)|^ราคา|^سعر|^מחיר"
    ),
    "description": pattern(
        "descri[pbzce]|deskrip|^opis|leiras|^mota|(?:preview|detail)text|คาอธบาย|^desc(?:de|en|es|fr|it|nl|pl|pt|ru)$|beschreib|beschrijv|описан|popis|kuvaus|аннотац|опис|aciklama|説明|설명|描述|详情|詳情|beskriv|omschrijv"
        "|وصف|詳細|(?:marketing|romance|product|sales|web)copy$"
    ),
    "category": pattern(
        "categor|kategor|catagoir|κατηγορι|קטגורי|تصنيف|หมวด|ໝວດ|danhmuc|^nhom(?:hang|sanpham)|tuoteryhma|urungrubu|^osasto|категор|warengr|カテゴリ|类目|類目|分类|分類|카테고리|producttype|productgroup"
        "|csoport|^товарн[а-я]+групп|فئة|श्रेणी|دسته|^loaihang|artikelkategorie|(?:artikel|produkt|varu|vare)grup|warengruppe|^itemgroup"
    ),
    "brand": pattern(
        "brand|(?:manufacturers?|producer)(?:name)?$|marke(?!t)|^marka|marque|бренд|ブランド|品牌|브랜드|hersteller|fabricant|ماركة"
        "|^fabrika+t|producent|producato|uretici|gyarto|merkki$|merek|hangsanxuat|nhanhieu"
        "|製造元|제조(?:사|업체)|المصنع|برند|ब्रांड|แบรนด์"
    ),
    "seller": pattern(
        "seller|satici|sprzedaj|sprzedawc|продав|vendedor|vendeur|卖家|賣家|판매자|البائع"
    ),
    "images": PHOTO_WORD,
}
# Of something else, or another price than that a shop asks.
_OTHER_PRICE_WORDS = (
    "seo|meta|sub|page|ima?ge?|photo|alt|categor|kategor|brand|marke(?!t)|vendor|seller"
    "|currency|wahrung|валют|date|datum|дата|(?<![bcfghmsty])old|compare|purchase|einkauf|закуп|cost|type|typ"
    "|history|(?<!pre)code|url|link|min|max|from|until|valid|rule|pricelist|preislist|listing|list(?:id|name|no|nr)|group|grupp|tier|base|grund|per(?!bottle|piece|item|pack)|job"
    "|групп|бренд|производ|цвет|размер|склад|поставщ|продав|(?<!за)единиц|валют"
    "|original|^core|deposit|pfand|shipping|delivery|versand|wholesale|level|change|percent|pct|cents?$|micros$|minor$"
    "|ident|leng|weight|gewicht|height|width|depth|rating|count|qty|quantity|discount|(?<!incl)(?<!including)(?<!excl)(?<!excluding)(?<!inc)(?<!ex)(?<!pre)(?<!before)(?<!after)(?<!with)(?<!without)tax$|kurz|(?<!title)(?<!titel)short|name2|label|dealer|condition|status"
    "|^rrp|^msrp|^uvp|^srp|^mrp|^rank|rank(?:ing)?$|ranktitle"
)
_OTHER_WORDS = pattern(f"{_OTHER_PRICE_WORDS}|marke|shop|store|магазин|libellecourt")
# About a category, a brand or a seller, and not its name; about a text or a photo, and not it.
_ABOUT_WORDS = (
    "^(?:cod|kod|nr|num(?:m?er|ber|ar)|indeks)|ids?$|codes?$|code$|partno$|kodu|kod$|count|anzahl|number|num$|nr$|qty|rating|score|rank|level|url|link"
    "|date|seo|meta|slug|deliver|shipping|versand|warrant|garant|return|phone|langu|(?<!beschreibung)(?<!omschrijving)(?<!bezeichnung)lang$"
    "|email|mail"
    "|address|city|country|since|response|feedback|flag|verified|stok|sku|logo|image|photo|^is|^has"
    "|best|^brandnew|編號|番号|번호|编号|编码|コード|코드|код"
)
_ABOUT = pattern(f"{_ABOUT_WORDS}|descri|beschreib|text")
_ABOUT_TEXT = pattern(
    f"{_ABOUT_WORDS}|categor|kategor|brand|marke|seller|shop|store|vendor|colou?r"
)
_ABOUT_PHOTO = pattern(
    "alt(?!ern)|caption|title|name$|text|count|num$|width|height|size|format|hash|ids?$|colou?r|date|type"
    "|position|order|sort|seo|credit|licen|(?:descri(?:ption|pcion|cao|zione)|beschreibung)$"
)
_OTHER_OBJECT = pattern(
    "producer|manufactur|categor|kategor|brand|marke|seller|vendor|merchant|shop|store|user|author|owner|company|parent"
    "|review|rating|image|photo|picture|media|video|tax|currency|unit|address|location|relation"
    "|shipping|delivery|warehouse|(?<!master)(?<!default)variant|option|tag|meta|seo|link"
    "|param|propert|spec|feature|characteristic"
)
_OTHERS = {
    "title": _OTHER_WORDS,
    "price": pattern(_OTHER_PRICE_WORDS),
    "description": _ABOUT_TEXT,
    "images": _ABOUT_PHOTO,
}
_SIGN_AT_END = re.compile(r"\s*(?:#|№|n°|nº)\s*$", re.IGNORECASE)


def names_by_word(column: str, field: str) -> bool:
    """Whether a column's name holds a field's word, beside others: "Preis inkl. MwSt".

    Args:
        column: Its name.
        field: A field; identifiers, groups and attributes are never told like this.
    """
    if column.rpartition(".")[2].startswith("@"):  # JSON-LD's own
        return False
    name = plain_name(column)
    word, others = _WORDS.get(field), _OTHERS.get(field, _ABOUT)
    if field in _OF_PRODUCT and _OF_PRODUCT[field].fullmatch(name) and not others.search(name):
        return True
    if field == "price" and is_sale(column):  # though of a discount
        return True
    if field == "title" and _PRODUCT_NAME.fullmatch(name):
        return True
    return word is not None and word.search(name) is not None and not others.search(name)


def names_something_else(column: str) -> bool:
    """Whether a column's name says that it is neither a title nor a price: "category_name"."""
    return _OTHER_WORDS.search(plain_name(column)) is not None


def is_quantity(column: str) -> bool:
    """Whether a column's name says that it counts, weighs or rates: "Closing Qty"."""
    return _QUANTITY.search(plain_name(column)) is not None


def is_other_object(column: str) -> bool:
    """Whether a column's name says that its object is none of the product: "seller"."""
    return _OTHER_OBJECT.search(plain_name(column)) is not None


def holds_photos(column: str) -> bool:
    """Whether a column's name says that its object is one of photos."""
    return re.search("image|photo|picture|media", plain_name(column)) is not None


_TRADE_NUMBER = re.compile(
    r"(?:product|item)?(?:gtin|ean|upc|isbn|jan|barcode|mpn|pzn)+(?:code|コード|number|nr|no|\d+)*"
    + folded(
        "|штрих.?код|codigo(?:de)?barras|codebarres?|codiceabarre|kodkreskowy|c(?:i)?arovykod|vonalkod"
        "|streckkod|strekkode|viivakoodi|条形?码|條碼|바코드|バーコード|mavach"
    )
)
# Numbers and codes of products by whatever name: "Stock Code", "Part #", "Kat.-Nr.", "品番". Those
# of something else, such as a phone or a customs code, are none of them.
_PRODUCT_WORDS = plain_names(
    """stock style part item product prod article artikel articolo articulo art material mat sku set
    order inventory детали produto prodotto produit producto פריט מוצר आइटम کالا محصول hang
    catalog catalogue katalog katalogove kat cat bestell model modell modelo modello internal intern
    interno interna parca malzeme rendelesi ware waren zbozi towaru produktu urun stok management
    商品 製品 产品 商品管理 管理 상품 제품 관리 товара номенклатурный
    teil teile ersatzteil ersatzteile onderdeel reservedel reservedels varaosa pieza piece
    produs vyrobku termek tuote oem articol artigo
    artikla artikala артикла artikkel bestel obj karti товару позиции позиції 物料 품목 vat_tu"""
)
_NUMBER_WORDS = plain_names(
    """code number num nummer nr no id sku ref reference key codigo codice cod kod kodu cislo
    numer kode indeks numero szam
    sifra шифра
    شناسه کد קוד कोड ma код номер артикул tunnus コード 番号 编号 编码 代码 編號 번호 코드"""
)
# "train_id", "Satıcı SKU": an identifier where no two rows share it, unless of something else.
_SOME_ID = re.compile(
    r"(?i:(?:[^\W_]+[\s_.-]+)+(?:id|sku)|material)|[a-z]\w*I[dD]|id[A-Z]\w*"
    r"|(?!(?:\w*paid|bid|valid|void|liquid|solid|fluid|acid|grid|hybrid|android)$)[a-z]{1,10}id"
)
_ID_OF_OTHER = re.compile(
    "categ|kateg|brand|marke|seller|shop|store|vendor|merchant|supplier|user|customer|client|parent"
    "|group|depart|tax|currency|country|lang|type|class|order|session|campaign|warehouse|account"
    "|owner|author|company|manufactur|producer|image|photo|colou?r|size|page|query|search|review"
    "|rating|market|site|attribute|unit|batch|job|tenant|channel|feed"
)
# Numbers that no two products share in a small table, though they count or weigh.
_QUANTITY = pattern(
    "qty|quantit|cantidad|(?<!dis)(?<!ac)count(?!r?y|er)|anzahl|menge|bestand|ilosc|колич|остат"
    "|^stock$|数量|weight|gewicht|^year|(?<!ope)ratings?$|score$|rank$"
)
_PARTNERS = (
    "(?:supplier|vendor|seller|manufacturer|mfr|mfg|lieferanten|hersteller|fournisseur|fornecedor)"
)
_PRODUCT_NUMBER = re.compile(
    "(?:{0})?(?:{1})+(?:{2})|(?:{2})(?:de|del|du|do|da|of|della)?(?:{1})+|{0}(?:ref|reference|sku)"
    "|(?:ref|reference){0}|{3}".format(
        _PARTNERS,
        "|".join(_PRODUCT_WORDS),
        "|".join(_NUMBER_WORDS),
        "|".join(
            plain_names(
                "品番 型番 品號 품번 货品编号 артикулпоставщика артикулпроизводителя cikkszam"
                " termekszam cod_ref"
            )
        ),
    )
)


# Behind other words "stock no" may count, and "order id" is of an order.
_PART_NUMBER = re.compile(
    f"(?:part|item|product|article|artikel|urun|детали)(?:{'|'.join(_NUMBER_WORDS)})"
)
_OF_MAKER = re.compile("manufact|mfr|mfg|herstell|fabric|produ[ck]ent|oem|maker")
_OF = "(?:de|do|da|del|dell|du|la|l|ה|ال){0,2}"  # without end it would take for ever
_NAME_BEFORE = (
    "(?:nome|nombre|nom|nama|ten|nume|numele|naziv|nazwa|nazev|nazov|oznaceni|назва|название|ονομα"
    "|اسم|نام|שם|ชื่อ)"
)
_NAME_BEHIND = (
    "(?:naam|namn|navn|nimi|adi|ismi|tanimi|neve|(?:meg)?nevezese?|bezeichnung|betegnelse|benevnelse|benamning|이름|명"
    "|名|の?名前|名称|全称|का नाम|नाम)"
)
_PRODUCT = (
    "(?:product|prod|item|merchandise|articles?|art|artikel|articolo|articulo|artigo|articol|produto|prodotto"
    "|artika?la|артика?ла"
    "|produit|producto|produktu|produktow|vyrobku|vyrobkov|produse|produsului|produk|produktets|produktens|produtos|productos|prodotti|produits"
    "|продукту|товара|товаров|товару|товарів|zbozi|asortymentu|arucikk"
    "|varens|artikelns|materialu|mal|malin|towaru|urun|barang|hang|hanghoa|mathang|sanpham|tuote|termek|vare"
    "|商品|产品|製品|상품|제품|품목|کالا|محصول|מוצר|פריט|منتج|صنف|سلعة|مادة|สินค้า|รายการ|ผลิตภัณฑ์|माल|उत्पाद|物料|货品)"
)
# "Nome do artigo", "Tên hàng hóa", "상품이름".
_PRODUCT_NAME = pattern(
    f"{_NAME_BEFORE}{_OF}(?:{_PRODUCT}|com+erciale?|handlowa)"
    f"|{_PRODUCT}(?:{_NAME_BEHIND}|(?:full|display)?name)".replace(" ", "")
)
# "Marca do produto", "Productgroep naam", "产品类别", "Merk/Fabrikant".
_OF_PRODUCT = {
    field: pattern(
        f"(?:{_NAME_BEFORE}{_OF})?{_PRODUCT}?(?:{'|'.join(USUAL_NAMES[field])}){{1,2}}"
        f"(?:{_OF}{_PRODUCT})?{_NAME_BEHIND}?".replace(" ", "")
    )
    for field in ("description", "category", "brand")
}


_SUPPLIER = pattern(
    "supplier|lieferant|fournisseur|fornecedor|fornitore|proveedor|leveran(?:cier|dor|tor)|dostawca"
    "|dodavatel|toimittaja|поставщик|постачальник"
)


def is_supplier(column: str) -> bool:
    """Whether a column's name is that of suppliers, which are the makers to some shops."""
    return _SUPPLIER.search(plain_name(column)) is not None


def is_usual_name(column: str, field: str) -> bool:
    """Whether a column has one of a field's usual names."""
    return plain_name(column) in USUAL_NAMES[field]


def is_trade_number(column: str) -> bool:
    """Whether a column's name is that of a number of the trade, which several products may have."""
    return _TRADE_NUMBER.fullmatch(plain_name(column)) is not None


def is_product_number(column: str) -> bool:
    """Whether a column's name says that it numbers products, though not by a usual name."""
    names = plain_name(column), plain_name(_SIGN_AT_END.sub(" no", column))
    is_usual = any(name in USUAL_NAMES["product_id"] for name in names)
    return not is_usual and _PRODUCT_NUMBER.fullmatch(names[1]) is not None


def is_own_number(column: str) -> bool:
    """Whether a column's name says that the shop itself, or its partner, numbers products by it."""
    is_number = is_product_number(column) or _ends_with_number(column)
    return is_number and not _OF_MAKER.search(plain_name(column))


def _ends_with_number(column: str) -> bool:
    """Whether a column's name ends with that of a product's number: "Unique Merchant SKU"."""
    words = re.split(r"[\s_.-]+", column.strip())
    tails = (plain_name(" ".join(words[start:])) for start in range(1, len(words)))
    return any(tail == "sku" or _PART_NUMBER.fullmatch(tail) for tail in tails)


def is_called_product(column: str) -> bool:
    """Whether a column is called "Item" or the like: it holds names in some tables, else codes."""
    return plain_name(column) in _PRODUCT_WORDS


def is_identifier_name(column: str) -> bool:
    """Whether a column's name is that of an identifier, of whatever: "class_id"."""
    return _SOME_ID.fullmatch(column.strip()) is not None


def may_be_identifier(column: str) -> bool:
    """Whether a column's name is that of an identifier, of products as far as it says."""
    if _ends_with_number(column):
        return True
    return is_identifier_name(column) and not _ID_OF_OTHER.search(plain_name(column))
