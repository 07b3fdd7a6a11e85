"""Of several prices that which is paid is read, whatever their names' language and length."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.names.columns import map_columns
from twinshelf.client.files.names.price_names import distance_from_paid


@pytest.mark.parametrize(
    "prices",
    [
        "precio con IVA,precio sin IVA", "precio c/IVA,precio s/IVA",
        "Prezzo IVA inclusa,Prezzo senza IVA", "Prezzo di vendita,Prezzo acquisto",
        "Preço com IVA incluído,Preço sem IVA", "Preis inklusive MwSt,Preis ohne MwSt",
        "Prix toutes taxes,Prix hors taxe", "Prix de vente TTC,Prix d'achat",
        "Prix actuel TTC,Prix barré", "Preis im Shop,EK-Preis", "Shop-Preis brutto,Streichpreis",
        "Precio de venta al público,Precio de compra", "Cena sprzedaży,Cena zakupu",
        "Prodejní cena s DPH,Nákupní cena", "Akční cena Kč,Běžná cena",
        "Prijs incl. BTW,Prijs ex BTW", "Verkoopprijs incl. btw,Inkoopprijs",
        "Försäljningspris,Inköpspris", "Myyntihinta alv,Ostohinta", "Hinta sis. alv,Hinta alv 0",
        "KDV Dahil Fiyatı,KDV Hariç Fiyat", "Розн. цена,Опт. цена", "税込み価格,税抜価格",
        "现价,原价", "销售价格,成本价", "판매 가격,매입가격", "Now Price,Was Price",
        "price including VAT,price ex VAT", "Consumer price,Trade price",
        # A usual name of another price.
        "Price with VAT included,net_price", "web price,wholesale price",
        "list_price,standard_price,default_code", "standard_price,list_price,item_sku",
        # By number, shortened, or of which another word is a part: "old", "kost".
        "VK-Brutto 1,VK-Netto 1", "Listino 1,Prezzo forn.", "PVP1 c/IVA,Preço custo",
        "Verkoopprijs,Kostprijs", "Adviesprijs,Kostprijs", "Utpris inkl. mva,Innpris",
        "Bruttó eladási ár,Nettó eladási ár,Beszerzési ár", "零售价,进货价", "Now,Was",
        "Trendyol'da Satılacak Fiyat,Piyasa Satış Fiyatı", "Gold price,Old price",
        "MSRP,Cost", "PU TTC,PU HT", "RRP inc GST,Cost ex GST", "零售价(元),出厂价", "Gross,Net",
        "p_price,p_priceNoTax", "Harga Jual,Harga Modal", "Giá lẻ,Giá vốn,Giá gốc",
        "Λιανική Τιμή,Χονδρική Τιμή", "Minorista,Mayorista", "السعر,سعر الجملة",
        "Cena (z podatkiem),Cena (bez podatku)",
        "ราคาขายปลีก,ราคาทุน", "سعر البيع بالتجزئة,سعر التكلفة",
        # What the shop pays, in more languages; "विक्रय" is a sale, "क्रय" a purchase.
        "מחיר לצרכן,מחיר קניה", "Цена на дребно,Цена на едро", "Цена,Доставна цена",
        "Малопродажна цена,Набавна цена", "Maloprodajna cena,Veleprodajna cena",
        "Pardavimo kaina,Savikaina", "Pārdošanas cena,Iepirkuma cena", "Müügihind,Ostuhind",
        "Söluverð,Innkaupsverð", "Harga Jual,Harga Kos", "विक्रय मूल्य,क्रय मूल्य",
        "قیمت فروش,قیمت خرید", "Prix de détail,Prix de gros", "AR_PrixVen,AR_PrixAch",
        "Prezzo al dettaglio,Prezzo ingrosso", "Preço varejo,Preço atacado",
        "Kisker ár,Nagyker ár", "Preț vânzare,Preț angro", "SRP,Unit Cost", "RSP,Cost Price",
        # What others ask, and what several pieces cost.
        "TCG Marketplace Price,TCG Low Price", "Price,Lowest Price", "Price each,Case price",
        "price 2025,price 2024,price 2023", "Katalog Preis 2025,Katalog Preis 2024",
        # Without the tax, in more languages.
        "Kaina su PVM,Kaina be PVM", "Cena ar PVN,Cena bez PVN", "Hind koos km,Hind ilma km",
        "Cena z DDV,Cena brez DDV", "Цена с ДДС,Цена без ДДС", "Çmimi me TVSH,Çmimi pa TVSH",
        "Verð með vsk,Verð án vsk", "Τιμή με ΦΠΑ,Τιμή χωρίς ΦΠΑ", "Giá có VAT,Giá chưa VAT",
        'מחיר כולל מע"מ,מחיר ללא מע"מ', "السعر شامل الضريبة,السعر بدون الضريبة",
        "Harga termasuk PPN,Harga sebelum PPN", "Prix TVAC,Prix HTVA", "Ár áfával,Ár áfa nélkül",
        "Price after tax,Price before tax", "부가세 포함 단가,부가세 제외 단가", "税込,税抜",
    ],
)  # fmt: skip
def test_the_price_to_be_paid_comes_before_others_in_either_order(prices: str) -> None:
    paid, *others = prices.split(",")
    for header in ([paid, *others], [*others, paid]):
        assert map_columns("t.csv", ["title", *header], {})["price"] == (paid,)


@pytest.mark.parametrize(
    "prices",
    ["Цена со скидкой,Цена до скидки", "Ціна зі знижкою,Стара ціна", "할인가격,정상가격",
     "İndirimli Satış Fiyatı,Eski Fiyat", "セール価格,通常価格", "优惠价格,原价",
     "price_after_discount,price_before_discount", "salePriceEUR,priceEUR",
     "Tarif promo,Tarif régulier", "Prezzo in offerta,Prezzo di listino",
     "DiscountedSellingPrice,SellingPrice", "السعر المخفض,سعر المنتج",
     "Harga Diskon,Harga Normal", "Giá khuyến mãi,Giá gốc", "ราคาพิเศษ,ราคาปกติ",
     "price_discounted_eur,price_regular_eur", "price_special,price", "price_sale,price_full",
     "actionPrice,price"],
)  # fmt: skip
def test_the_price_of_a_sale_comes_before_that_which_was_asked(tmp_path: Path, prices: str) -> None:
    for header, cells in ((prices, "15,20"), (",".join(reversed(prices.split(","))), "20,15")):
        (row,), _, _ = read(write(tmp_path, f"sku,title,{header}\n1,Mug,{cells}\n"))
        assert row.price == 15, header


def test_another_price_that_is_alone_is_read() -> None:
    for name in ("Цена до скидки", "precio sin IVA", "Prix HT", "cost_price", "Net list price"):
        assert map_columns("t.csv", ["default_code", "title", name], {})["price"] == (name,)


def test_names_tell_how_far_a_price_is_from_what_is_paid() -> None:
    names = ["Verkaufspreis", "Preis exkl. MwSt.", "Prix conseillé", "Закупочная цена"]
    assert [distance_from_paid(name) for name in names] == [0, 1, 2, 3]
    assert distance_from_paid("wholesale price") == 3 and distance_from_paid("sale price") == 0


def test_the_price_of_a_sale_comes_before_the_usual_one(tmp_path: Path) -> None:
    rows_of_prices = "\n1,Mug,20,15\n2,Pan,30,0.00\n3,Pot,,9.5\n4,Lid,,\n"
    for sale in ("salePrice", "Preço promocional", "Акционная цена", "Akciós bruttó ár"):
        rows, _, _ = read(write(tmp_path, f"sku,name,price,{sale}{rows_of_prices}"))
        assert [row.price for row in rows] == [15, 30, 9.5, None], sale


def test_a_retail_price_comes_behind_a_plain_one() -> None:
    header = ["sku", "title", "product_price_vat_inc", "retail_price_vat_inc"]
    assert map_columns("t.csv", header, {})["price"] == ("product_price_vat_inc",)
    assert map_columns("t.csv", ["title", "Retail price now"], {})["price"] == ("Retail price now",)
