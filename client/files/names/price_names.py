"""Which of several prices a column's name tells of: what is paid, a sale, or another price."""

from __future__ import annotations

import re

from twinshelf.client.files.names.plain_name import pattern, plain_name

# All in the plain form of names: without accents, blanks and signs.
_SALE = pattern(
    "(?:(?<!whole)sale|(?<!trans)action|special|offer|promo|promotion|promotional|discount|discounted|deal|clearance|reduced"
    "|campaign)(?:selling|sales?|retail|unit)?price(?:u|eur|usd|gbp)?$|(?:after|with)discount"
    "|^price(?:discounted|reduced|sale|special|promo(?:tion(?:al)?)?)$"
    "|salepreis|aktionspreis|angebotspreis|sonderpreis|reduzierterpreis"
    "|tarifpromo|prix(?:de)?(?:promo|solde|remise|reduit)|precio(?:de|en|con)?(?:oferta|promo|descuento|rebaja)"
    "|prezzo(?:in|di)?(?:scontato|sconto|offerta|promo|speciale)|preco(?:promo|comdesconto|por$)"
    "|aanbiedingsprijs|actieprijs|kortingsprijs|kampanjpris|reapris|extrapris|specialpris"
    "|tilbudspris|kampagnepris|tarjoushinta|alennushinta|indirimli|kampanyal"
    "|cena(?:promo|poobnizce|specjaln|posleve|pozlave)|akcn[ai]cena|akciovacena|zlevnenacena"
    "|акционнаяцена|цена(?:со|сучетом)скидк|ценапоакции|спеццена|специальнаяцена|ценараспродажи"
    "|ціназізнижк|акційнаціна|спецціна|akciosar|akciosbrutto|pret(?:promo|redus|oferta)"
    "|セール価格|特価|特別価格|割引価格|促销价|促銷價|特价|特價|优惠价|優惠價|折扣价|折扣價|活动价"
    "|할인가|할인판매가|세일가|특가|מחירמבצע|قیمتویژه|harga(?:diskon|promo)|giakhuyenmai"
    "|ราคา(?:ลด|โปร|พเศษ)|سعر(?:العرض|بعدالخصم)|السعر(?:ال)?مخفض|السعربعد(?:ال)?(?:خصم|تخفيض)"
)
_NET = pattern(
    "net(?:to|te?)?$|^netto|net(?:to|te?)?pr[ei]|excl|exkl|ekskl|^ex(?:vat|tax|gst)|(?:ex|no)(?:vat|tax|gst|btw|moms)$"
    "|(?:without|before|plus)(?:tax|vat|gst)|ohne|zzgl|^ht|ht$|horst(?:axe|va)"
    "|(?:sin|s|senza|sem)(?:iva|imp)|iva(?:esclus|exclu|nao)|bez(?:vat|dph|pdv|podatk)|безндс|безпдв"
    "|(?:eks|uten|uden|utan)(?:mva|moms)|alv0|ilmanalv|alvton|veroton|kdvharic|kdvsiz|faratva"
    "|税抜|税別|不含税|未税|未稅|부가세(?:별도|제외)|pretax|htva|bepvm|bezpvn|kmta|ilmakm|brezddv|безддс|безддв|patvsh"
    "|anvsk|χωριςφπα|(?:chua|khong)(?:baogom|gom|co)?(?:vat|thue)|(?:ללא|לפני)מעמ|(?:بدون|قبل)(?:ال)?ضريب|بدونمالیات"
    "|sebelum(?:ppn|pajak)|afanelkul"
)
_GROSS = pattern(
    "ivat[oa]|ttc|inkl|incl|brutto|gross|(?:con|c)(?:iva|imp)|with(?:vat|tax)|dahil|税込|[sz]dph|zpodatk|cutva|сндс|зпдв"
)
# What was asked before, or is advised.
_OLD = pattern(
    "(?<![bcfghmsty])old|^was|wasprice|before|previous|compare|strike|rrp|msrp|^srp|suggested|recommended|marketprice"
    "|original|listprice|alterpreis|streich|statt|uvp|listenpreis|normalpreis"
    "|barre|ancien|conseille|avantremise|anterior|antes|tachado|antigo|precode$|vecchio|precedente"
    "|barrato|listino|consigliato|advies|oudeprijs|vanprijs|star[aáý]?cena|poprzedni|katalogow"
    "|sugerowan|puvodni|povodna|bezna|doporucen|predslevou|ordinarie|tidigare|ordpris|forpris|gamm[ae]l"
    "|tidligere|vejl|veil|rekomm|vanhahinta|normaalihinta|ovh|suositus|eski|indirimsiz|onceki|piyasa"
    "|стар|прежн|до(?:скидки|знижки)|без(?:учета)?скидки|беззнижки|ррц|рекоменд|eredeti|regi|vech"
    "|通常価格|定価|参考価格|希望小売|原价|原價|市场价|市場價|吊牌价|划线价|정상가|정가|소비자가|할인전"
    "|harga(?:normal|coret|asli)|gia(?:goc|niemyet)|ราคา(?:ปกต|เตม)|السعرالقديم|سعرقبل"
    # What others ask, and what several pieces cost together.
    "|(?<!every)(?<!everyday)(?:low|high)(?:est)?price|competitor|(?:carton|case|pallet)price|per(?:carton|case|pack|pallet)$"
)
# What the shop pays itself, or another shop.
_COST = pattern(
    "cost|purchase|buying|wholesale|mayorista|χονδρικ|trade|dealer|reseller|b2b|einkauf|^ek(?:preis|brutto|netto|$)"
    "|ekpreis|handler|haendler|achat|revient|compra|acquisto|custo|inkoop|zakup|hurt|nakup|velkoobch"
    "|inkop|indkob|innkjop|innpris|kostpri|(?:prezzo|preco)forn|engros|ostohinta|tukku|alisfiyat|maliyet|toptan|закуп|себест|опт"
    "|дилер|собіварт|гурт|beszerz|achizit|nabav|αγορασ|仕入|原価|卸|成本|进价|進價|进货价|進貨價|批发|批發|出厂|出廠|采购|매입|도매|공급가"
    "|harga(?:beli|modal|grosir|kos)|gia(?:nhap|von|si)|ราคา(?:ทุน|ซอ|ส่ง)|سعر(?:التكلفة|الشراء|الجملة)|מחירעלות"
    "|קניי?ה|סיטונ|едро|доставнацена|велепрода[јж]|големопродаж|набавн|veleprodaj|savikaina|pirkimo|iepirkum"
    "|ostuhind|hulgihind|innkaup|(?<!वि)क्रय|خرید|عمده|prix(?:de)?gros|prixach|ingrosso|atacado|angro|nagyker"
)
COST = 3
_TAX_AT_END = pattern(
    "(?:inc|incl|inkl|including|inklusive|ex|exc|excl|exkl|excluding|zzgl|con|sin|avec|sans)"
    "(?:gst|vat|mwst|ust|tax|tva|iva|btw|moms|mva)$"
)
_YEAR_AT_END = re.compile(r"(?<!\d)((?:19|20)\d\d)\W*$")
_HUNDREDTHS = re.compile(
    r"(?:(?<!per)cents?|pence|centimes|minor(?:[\s_]?units?)?|unit_amount|price_money(?:\.amount)?|price_?u)\W*$",
    re.IGNORECASE,
)


def is_sale(column: str) -> bool:
    """Whether a column's name is that of the price of a sale, which some products have."""
    return _SALE.search(plain_name(column)) is not None


def is_net(column: str) -> bool:
    """Whether a column's name says that its prices lack the tax."""
    return _NET.search(_with_brackets(column)) is not None


def without_tax(name: str) -> str:
    """A plain name without what it says of the tax at its end: "rrpincgst" is rrp."""
    return _TAX_AT_END.sub("", name)


def is_gross(column: str) -> bool:
    """Whether a column's name says that its prices have the tax."""
    return _GROSS.search(_with_brackets(column)) is not None


def _with_brackets(column: str) -> str:
    """The plain name with what stands in brackets at the end."""
    return plain_name(re.sub(r"[()\[\]]", " ", column))


def distance_from_paid(column: str) -> int:
    """How far the prices of a column are from what a buyer pays, by its name.

    Returns:
        0 for what is paid, 1 for that without the tax, 2 for what was asked before or is advised,
        3 for what the shop pays itself.
    """
    name = plain_name(column)
    if _COST.search(name):
        return COST
    return 2 if _OLD.search(name) and not is_sale(column) else int(is_net(column))


def year_of(column: str) -> int:
    """The year at the end of a column's name, such as "Preis 2025"; else 0."""
    found = _YEAR_AT_END.search(column)
    return int(found[1]) if found else 0


def price_divisor(column: str) -> int:
    """Returns what the prices of a column are to be divided by: 100 for "price_cents", else 1."""
    return 100 if _HUNDREDTHS.search(column) else 1
