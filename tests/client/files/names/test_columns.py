"""Columns are found by the names that shops give them, and can be given."""

from __future__ import annotations

import pytest

from twinshelf.client.files.names.column_names import is_quantity
from twinshelf.client.files.names.columns import (
    Form,
    format_column_mapping,
    map_columns,
    read_column_mapping,
)
from twinshelf.client.files.rows import ProductFileError


@pytest.mark.parametrize(
    ("header", "mapping"),
    [
        (
            "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Variant SKU,Variant Price,"
            "Image Src,Image Position,Variant Image",
            "product_id=Handle,title=Title,description=Body (HTML),category=Product Category,"
            "brand=Vendor,price=Variant Price,images=Image Src,images=Variant Image",
        ),
        (
            "ID,Type,SKU,Name,Published,Short description,Description,Sale price,Regular price,"
            "Categories,Tags,Images,Brands",
            "product_id=ID,title=Name,description=Description,category=Categories,brand=Brands,"
            "price=Sale price,images=Images",
        ),
        (
            "item_sku,item_name,brand_name,standard_price,main_image_url,other_image_url1,"
            "other_image_url2,product_description,feed_product_type",
            "product_id=item_sku,title=item_name,description=product_description,"
            "category=feed_product_type,brand=brand_name,price=standard_price,"
            "images=main_image_url,images=other_image_url1,images=other_image_url2",
        ),
        (
            "posting_id,image,image_phash,title,label_group",
            "product_id=posting_id,title=title,images=image,group=label_group",
        ),
        (
            "ps_category,ps_product_name,ps_product_description,ps_sku_parent_short,ps_price,"
            "ps_item_cover_image,ps_item_image_1,ps_item_image_2",
            "product_id=ps_sku_parent_short,title=ps_product_name,"
            "description=ps_product_description,category=ps_category,price=ps_price,"
            "images=ps_item_cover_image,images=ps_item_image_1,images=ps_item_image_2",
        ),
        ("Артикул;Название;Цена;Фото".replace(";", ","), "product_id=Артикул,title=Название,"
         "price=Цена,images=Фото"),
        ("Cikkszám,Megnevezés,Bruttó ár", "product_id=Cikkszám,title=Megnevezés,price=Bruttó ár"),
        ("Artikelnummer,EAN,Bezeichnung,Preis",
         "product_id=Artikelnummer,title=Bezeichnung,price=Preis"),
        ("EAN,Code,title", "product_id=Code,title=title"),
        ("No.,GTIN,title", "product_id=GTIN,title=title"),
        # It may begin anew in each section.
        ("No.,Description,Unit Price", "description=Description,price=Unit Price"),
        ("Item #,Description", "product_id=Item #,description=Description"),
        ("Product №,Bezeichnung", "product_id=Product №,title=Bezeichnung"),
        ("External ID,Name,Product Type,Product Category/Complete Name,Sales Price",
         "product_id=External ID,title=Name,category=Product Category/Complete Name,"
         "price=Sales Price"),
        ("Mã phiên bản sản phẩm,Tên sản phẩm,Loại,Giá", "product_id=Mã phiên bản sản phẩm,"
         "title=Tên sản phẩm,category=Loại,price=Giá"),
        ("Artikelnummer im Shop,EAN,Produktname,Produktgruppe im Shop,Preis (Brutto)",
         "product_id=Artikelnummer im Shop,title=Produktname,category=Produktgruppe im Shop,"
         "price=Preis (Brutto)"),
        ("pk,نام محصول,دسته", "product_id=pk,title=نام محصول,category=دسته"),
        ("rank-title,name,page-rank", "title=name"),
        ("id,translations.DEFAULT.name,cover.media.url,manufacturer.translations.DEFAULT.name",
         "product_id=id,title=translations.DEFAULT.name,"
         "brand=manufacturer.translations.DEFAULT.name,images=cover.media.url"),
        ("id,name_s,cat_ss,price_f,image_s",
         "product_id=id,title=name_s,category=cat_ss,price=price_f,images=image_s"),
        ("Item.id,ItemText.de-name1,ItemText.de-description",
         "product_id=Item.id,title=ItemText.de-name1,description=ItemText.de-description"),
        ("v_products_model,v_products_image,v_products_name_1,v_products_description_1,"
         "v_products_price,v_manufacturers_name,v_categories_name_1",
         "product_id=v_products_model,title=v_products_name_1,description=v_products_description_1,"
         "category=v_categories_name_1,brand=v_manufacturers_name,price=v_products_price,"
         "images=v_products_image"),
        ("OXARTNUM,OXTITLE,OXLONGDESC,OXMANUFACTURERTITLE", "product_id=OXARTNUM,title=OXTITLE,"
         "description=OXLONGDESC,brand=OXMANUFACTURERTITLE"),
        ("Code article,Désignation,Famille articles", "product_id=Code article,title=Désignation,"
         "category=Famille articles"),
        ("商品名,出品者SKU,価格,商品IDタイプ,商品ID", "product_id=出品者SKU,title=商品名,"
         "price=価格"),
        ("Šifra,Naziv artikla,Grupa artikala,MPC", "product_id=Šifra,title=Naziv artikla,"
         "category=Grupa artikala,price=MPC"),
        ("PartNumber,PartDescription,ListPrice,CorePrice",
         "product_id=PartNumber,description=PartDescription,price=ListPrice"),
        ("sku,label,details", "product_id=sku,title=label,description=details"),
        ("상품명,제조사명,브랜드명", "title=상품명,brand=브랜드명"),
        ("en_name,de_name", "title=en_name"),
        ("Název výrobku,Cena", "title=Název výrobku,price=Cena"),
        ("sku,Libellé court panier,Libellé long produit",
         "product_id=sku,title=Libellé long produit"),
        ("@type,name,offers.@type", "title=name"),
        ("id,name,image_url,image_nutrition_url", "product_id=id,title=name,images=image_url"),
        ("Name *,Feature(Name:Value:Position)",
         "title=Name *,attributes=Feature(Name:Value:Position)"),
        ("id,title,items.sellers.offer.Price,items.sellers.name",
         "product_id=id,title=title,seller=items.sellers.name,price=items.sellers.offer.Price"),
        ("gtin,item.descriptions,item.descriptions.info.descriptionShort",
         "product_id=gtin,title=item.descriptions.info.descriptionShort,"
         "description=item.descriptions"),
        # The usual name of what lies within tells more than a word of what lies around it.
        ("id,About.TitleBlock,About.TitleBlock.TitleText,Shop.price.code,Shop.price.PriceAmount",
         "product_id=id,title=About.TitleBlock.TitleText,price=Shop.price.PriceAmount"),
        ("sku,title,Cost,Preis", "product_id=sku,title=title,price=Preis"),
        ("sku,title,Cost,RRP", "product_id=sku,title=title,price=RRP"),
        ("sku,title,Cost", "product_id=sku,title=title,price=Cost"),
        ("sku,title,Preis inkl. MwSt,UVP", "product_id=sku,title=title,price=Preis inkl. MwSt"),
        ("sku,Product Title EN,Model Name", "product_id=sku,title=Product Title EN"),
        ("SKU #,Model Name,Photo #", "product_id=SKU #,title=Model Name,images=Photo #"),
        ("sku,name,attributes.id,attributes.title", "product_id=sku,title=name"),
        ("id,type,attributes.title,attributes.price",
         "product_id=id,title=attributes.title,category=type,price=attributes.price"),
        ("sku,Microscope price,Microscope name title",
         "product_id=sku,title=Microscope name title,price=Microscope price"),
        ("Κωδικός,Ονομασία", "product_id=Κωδικός,title=Ονομασία"),
        ("sku,title,attrs", "product_id=sku,title=title,attributes=attrs"),
        ("sku,title,price_cents", "product_id=sku,title=title,price=price_cents"),
        ("sku,title,price_cents,cost", "product_id=sku,title=title,price=price_cents"),
        ("Cikksz.,Termék neve,Ár,Kép",
         "product_id=Cikksz.,title=Termék neve,price=Ár,images=Kép"),
        ("Navn,Mærke,Pris,Billede", "title=Navn,brand=Mærke,price=Pris,images=Billede"),
        ("Kód,Název,Cena Kč", "product_id=Kód,title=Název,price=Cena Kč"),
        ("Artikelnummer,Bezeichnung,Preis CHF", "product_id=Artikelnummer,title=Bezeichnung,"
         "price=Preis CHF"),
        ("*Action(SiteID=US|Country=US),Custom label (SKU),*Title,*C:Brand,*StartPrice",
         "product_id=Custom label (SKU),title=*Title,brand=*C:Brand,price=*StartPrice"),
        ("Product ID,Name *,Categories (x.y.z...),Price tax included,Image URLs (x.y.z...)",
         "product_id=Product ID,title=Name *,category=Categories (x.y.z...),"
         "price=Price tax included,images=Image URLs (x.y.z...)"),
        ("Артикул,Номенклатура,Цена розничная с НДС",
         "product_id=Артикул,title=Номенклатура,price=Цена розничная с НДС"),
        ("商品編號,商品名稱,售價", "product_id=商品編號,title=商品名稱,price=售價"),
        ("货号,商品标题,单价", "product_id=货号,title=商品标题,price=单价"),
        ("Numer,Tytuł oferty Allegro,Cena PL", "title=Tytuł oferty Allegro,price=Cena PL"),
        ("sku,title,old_price,price_currency,Preis inkl. MwSt.",
         "product_id=sku,title=title,price=Preis inkl. MwSt."),
        ("name,seo_title,list_price_date,compare_price", "title=name"),
        ("brand,product_name_lenght,image", "brand=brand,images=image"),
        ("productNumber,name_DE_de,price_EUR,manufacturerName,categoriesPaths,imageUrls",
         "product_id=productNumber,title=name_DE_de,category=categoriesPaths,"
         "brand=manufacturerName,price=price_EUR,images=imageUrls"),
        ("Stok Kodu,Ürün Adı,Satış Fiyatı",
         "product_id=Stok Kodu,title=Ürün Adı,price=Satış Fiyatı"),
        ("SKU,Name,Default price [Main],Cost",
         "product_id=SKU,title=Name,price=Default price [Main]"),
        ("Artikelnummer,Artikelname,Std. VK Brutto",
         "product_id=Artikelnummer,title=Artikelname,price=Std. VK Brutto"),
        ("PRODUCT_ID,TITLE", "product_id=PRODUCT_ID,title=TITLE"),
        ("aw_product_id,product_name,rrp_price,search_price,merchant_image_url",
         "product_id=aw_product_id,title=product_name,price=search_price,"
         "images=merchant_image_url"),
        ("sku,title,msrp,our_price", "product_id=sku,title=title,price=our_price"),
        ("sku,title,msrp", "product_id=sku,title=title,price=msrp"),
        ("sku,title,Prix (HT),Prix (TTC)", "product_id=sku,title=title,price=Prix (TTC)"),
        ("sku,title,DESCRIPTION_LONG,DESCRIPTION_SHORT",
         "product_id=sku,title=title,description=DESCRIPTION_LONG"),
        ("SUPPLIER_AID,DESCRIPTION_SHORT,DESCRIPTION_LONG",
         "product_id=SUPPLIER_AID,title=DESCRIPTION_SHORT,description=DESCRIPTION_LONG"),
        ("sku,title,Ürün Açıklaması,ショップ内カテゴリ,seller_rating,brand_id,delivery_description",
         "product_id=sku,title=title,description=Ürün Açıklaması,category=ショップ内カテゴリ"),
        ("상품코드,상품명,판매자상품코드,판매가격,대표 이미지 주소",
         "product_id=상품코드,title=상품명,price=판매가격,images=대표 이미지 주소"),
        ("sku,title,best_seller,category_description,brand new", "product_id=sku,title=title"),
        ("sku,title,brand_logo,image_count,hero_image_1,hero_image_2",
         "product_id=sku,title=title,images=hero_image_1,images=hero_image_2"),
        ("Sygnatura,Tytuł oferty,Grupa towarowa,Торговая марка,Venditore",
         "product_id=Sygnatura,title=Tytuł oferty,category=Grupa towarowa,brand=Торговая марка,"
         "seller=Venditore"),
        ("ID do produto,Nome do prodotto,Nome del prodotto,Beschrijving,Valor",
         "product_id=ID do produto,title=Nome del prodotto,description=Beschrijving,price=Valor"),
        ("Идентификатор_товара,Найменування,Розділ,Вартість,Kenmerken",
         "product_id=Идентификатор_товара,title=Найменування,category=Розділ,price=Вартість,"
         "attributes=Kenmerken"),
        ("자체 상품코드,상품명,대분류,제조사명,정상가",
         "product_id=자체 상품코드,title=상품명,category=대분류,brand=제조사명,price=정상가"),
        ("sku,product-id,product-id-type,title", "product_id=sku,title=title"),
        ("product_id,product_id_type,title", "product_id=product_id,title=title"),
        ("EAN,Shop SKU,Title", "product_id=Shop SKU,title=Title"),
        ("PLU,Text,Preis1,WG", "product_id=PLU,description=Text,category=WG,price=Preis1"),
        ("p_id,p_name.de,p_desc.de,p_manufacturer,p_image",
         "product_id=p_id,title=p_name.de,description=p_desc.de,brand=p_manufacturer,"
         "images=p_image"),
        ("IE_XML_ID,IE_NAME,IE_DETAIL_TEXT,IE_DETAIL_PICTURE",
         "title=IE_NAME,description=IE_DETAIL_TEXT,images=IE_DETAIL_PICTURE"),
        ("goods_sn,goods_name,cat_name,synopsis,供应商,Seller Part #",
         "product_id=goods_sn,title=goods_name,description=synopsis,category=cat_name,"
         "seller=供应商"),
        ("id,name,type,categ_id", "product_id=id,title=name,category=categ_id"),
        ("OXARTNUM,Libellé long produit*,PV TTC",
         "product_id=OXARTNUM,title=Libellé long produit*,price=PV TTC"),
        ("id,name,type,product_category_1",
         "product_id=id,title=name,category=product_category_1"),
        ("itemId:token,item_title:token_seq,price:float",
         "product_id=itemId:token,title=item_title:token_seq,price=price:float"),
        ("Stok Kodu,Ürün Adı,Marka Adı,Descrição completa,تصنيف المنتج,Τιμή με ΦΠΑ,Πωλητής",
         "product_id=Stok Kodu,title=Ürün Adı,description=Descrição completa,"
         "category=تصنيف المنتج,brand=Marka Adı,seller=Πωλητής,price=Τιμή με ΦΠΑ"),
        ("SKU,Nome do artigo,Deskripsi Produk,manufacturers_name,Người bán,Price per bottle",
         "product_id=SKU,title=Nome do artigo,description=Deskripsi Produk,"
         "brand=manufacturers_name,seller=Người bán,price=Price per bottle"),
        ("sku,상품이름,Rövid Leírás,قیمت فروش",
         "product_id=sku,title=상품이름,description=Rövid Leírás,price=قیمت فروش"),
        ("sku,Short description 1 (EN),Long description (EN),Mô tả sản phẩm",
         "product_id=sku,title=Short description 1 (EN),description=Long description (EN)"),
        ("Cod.,Descrizione,Listino 1,Listino 1 (ivato)",
         "product_id=Cod.,description=Descrizione,price=Listino 1 (ivato)"),
        ("sku,title,Rate,Value",
         "product_id=sku,title=title,price=Rate"),
        ("seller-sku,product-id,title", "product_id=seller-sku,title=title"),
        ("Dish,Description,Price", "title=Dish,description=Description,price=Price"),
        ("Item.id,ItemTexts.name1,ItemTexts.description",
         "product_id=Item.id,title=ItemTexts.name1,description=ItemTexts.description"),
        ("sku,title,Prodejní cena A,Prodejní cena s DPH",
         "product_id=sku,title=title,price=Prodejní cena s DPH"),
        ("ID,タイプ,名前,説明,通常価格,カテゴリー",
         "product_id=ID,title=名前,description=説明,category=カテゴリー,price=通常価格"),
        ("Vörunúmer,Vöruheiti,Verð með VSK,Flokkur",
         "product_id=Vörunúmer,title=Vöruheiti,category=Flokkur,price=Verð með VSK"),
        ("পণ্য কোড,পণ্যের নাম,বিবরণ,মূল্য,ব্র্যান্ড,ছবি",
         "product_id=পণ্য কোড,title=পণ্যের নাম,description=বিবরণ,brand=ব্র্যান্ড,price=মূল্য,images=ছবি"),
        ("Шифра,Назив на производ,Цена со ДДВ",
         "product_id=Шифра,title=Назив на производ,price=Цена со ДДВ"),
        ("EAN,NL_Title_Short,Κατηγορίες,Cijena sa PDV-om,product_desc",
         "product_id=EAN,title=NL_Title_Short,description=product_desc,category=Κατηγορίες,"
         "price=Cijena sa PDV-om"),
        ("Référence interne,Product name bold,price",
         "product_id=Référence interne,title=Product name bold,price=price"),
        ("id,name,categ_id/name", "product_id=id,title=name,category=categ_id/name"),
        ("MATNR,MAKTX,Material group", "product_id=MATNR,title=MAKTX,category=Material group"),
        ("sku,Titre,Nature du produit,Catégorie", "product_id=sku,title=Titre,category=Catégorie"),
        ("sku,Nome fornitore,Product Title,Nome da marca",
         "product_id=sku,title=Product Title,brand=Nome da marca"),
    ],
)  # fmt: skip
def test_usual_names_are_known(header: str, mapping: str) -> None:
    assert format_column_mapping(map_columns("t.csv", header.split(","), {})) == mapping


def test_given_columns_come_first_by_name_case_or_number() -> None:
    header = ["sku", "Name", "title", "pic"]
    given = read_column_mapping("title=name, images=4, product_id=sku")
    assert map_columns("t.csv", header, given) == {
        "product_id": ("sku",),
        "title": ("Name",),
        "images": ("pic",),
    }
    assert map_columns("t.csv", header, read_column_mapping("images=")) == {
        "product_id": ("sku",),
        "title": ("title",),
    }


def test_several_columns_of_photos_may_be_given() -> None:
    assert read_column_mapping("images=a,images=b")["images"] == ("a", "b")
    with pytest.raises(ValueError, match="names title twice"):
        read_column_mapping("title=a,title=b")


@pytest.mark.parametrize("text", ["title", "=x", "colour=x"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="columns must look like|there is no field"):
        read_column_mapping(text)


@pytest.mark.parametrize("header", ["sku,brand,price", "id,category", "sku,price"])
def test_a_brand_or_a_category_alone_is_no_product_unless_asked_for(header: str) -> None:
    with pytest.raises(ProductFileError, match="needs a column of titles or images"):
        map_columns("t.csv", header.split(","), {})
    with pytest.raises(ProductFileError, match="needs a column of titles or images"):
        map_columns("t.csv", header.split(","), {"title": (), "brand": ()})
    name = header.split(",")[1]
    assert map_columns("t.csv", header.split(","), {"brand": (name,)})["brand"] == (name,)


def test_pairs_are_no_products_unless_one_side_is_asked_for() -> None:
    with pytest.raises(ProductFileError, match="pairs of products: left_title and right_title"):
        map_columns("t.csv", ["id", "left_title", "right_title"], {})
    header = ["pair_id", "id_left", "title_left", "id_right", "title_right", "label"]
    with pytest.raises(ProductFileError, match="pairs of products: title_left and title_right"):
        map_columns("t.csv", header, {})
    one_side = read_column_mapping("product_id=id_left,title=title_left")
    assert map_columns("t.csv", header, one_side)["title"] == ("title_left",)


def test_what_is_missing_is_named_with_what_is_there() -> None:
    with pytest.raises(ProductFileError, match="has no column 'nom' for title; it has sku, x"):
        map_columns("t.csv", ["sku", "x"], {"title": ("nom",)})
    with pytest.raises(ProductFileError, match="needs a column of titles or images.*sku, x"):
        map_columns("t.csv", ["sku", "x"], {})
    with pytest.raises(ProductFileError, match="several columns: --delimiter"):
        map_columns("t.csv", ["sku:name"], {})


@pytest.mark.parametrize(
    ("form", "header", "advised"),
    [
        ("text", ["x"], ["--no-header", "--delimiter"]),
        ("text", ["x", "y"], ["--no-header"]),
        ("sheet", ["x"], ["--no-header"]),
        ("records", ["x"], []),
    ],
)
def test_what_is_advised_fits_the_kind_of_table(
    form: Form, header: list[str], advised: list[str]
) -> None:
    with pytest.raises(ProductFileError, match="--columns product_id=sku") as refused:
        map_columns("t", header, {}, form=form)
    options = ("--no-header", "--delimiter")
    assert [option for option in options if option in str(refused.value)] == advised
    with pytest.raises(ProductFileError, match="has no column 'nom'") as refused:
        map_columns("t", header, {"title": ("nom",)}, form=form)
    assert ("--delimiter" in str(refused.value)) == (form == "text")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("Closing Qty", True), ("item_count", True), ("Rating", True), ("Rank", True)]
    + [(name, False) for name in ("discount price", "Account ID", "country code", "Frankierung")],
)
def test_a_quantity_is_told_by_its_name(name: str, is_one: bool) -> None:
    assert is_quantity(name) is is_one
