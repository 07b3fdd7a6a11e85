"""Names that shops, marketplaces and published tables give to the fields of a product.

Shopify, WooCommerce, Amazon, Shopee, Google Merchant, Magento, Flipkart and Walmart exports, and
the same words in the languages that their tables come in. The first name that a table has wins.
"""

from __future__ import annotations

from twinshelf.client.files.names.plain_name import plain_names

# Field to its usual names, the better first.
USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "product_id": plain_names(
        """product_id id handle_id sku item_sku seller_sku asin asin1 uniq_id unique_id uid
        item_id offer_id id_offer
        merchant_simple_id posting_id listing_id handle variant_sku variant_id custom_label
        product_code product_sku
        item_code item_number item_no article_number article_no article_id article part_number
        product_number product_no product_key goods_id goods_no pid pdt_id external_product_id
        system_id external_id internal_reference default_code
        parent_sku sku_parent_short goods_sn
        sku_parent sku_short product_ids retailer_id
        matnr material_number materialnummer aw_product_id merchant_product_id код_товару
        ma_san_pham رقم_المنتج رمز_المنتج كود_الصنف الكود รหัสสินค้า артикул_продавца
        артикул_wb
        id_товара id_oferty kod_produktu код_товара артикул код
        идентификатор ид artikelnummer
        artikelnr artikel_nr art_nr art_no produktnummer produkt_id reference ref reference_produit
        reference_vendeur referentie
        referencia codigo identifiant kode kode_produk numer_katalogowy indeks kod cikkszam
        termekkod urun_kodu stok_kodu cod cod_produs sifra varenummer varenr artnr κωδικος 商品番号
        商品コード 商品id 编号 商品编号
        商品编码 货号 商品货号 款号 商品編號 貨號 商品貨號 상품번호 상품코드
        sachnummer materialnr code_article ref_produit n_article
        codigo_de_producto codigo_producto cod_articolo codice_articolo codice_prodotto
        nr_katalogowy kod_towaru артикул_товара арт номенклатурный_номер urun_no tuotekoodi
        tuotenro katalogove_cislo kod_zbozi cikksz κωδικος_προιοντος מקט كود_المنتج رقم_الصنف รหัส
        ma_hang 产品编号 商家编码 등록상품id
        code model_number код_1с variation_id plu sku_id sku_name sku_sellersku codice identifier
        uuid 編號 tootekood კოდი тауар_коды կոդ उत्पाद_कोड kod_produto
        kod_barang prekes_kodas sifra_artikla artikuls kat_номер кат_номер шифра kod_tovaru
        sifra_izdelka num_iid itm
        item_nbr 노출상품id 업체상품코드 کد_کالا کد_محصول ma_sp tuotenumero kode_barang
        satici_stok_kodu hepsiburada_sku supplier_aid vendor_code
        product_code_sku ebay_item_number shop_sku merchant_sku numer_oferty sygnatura
        intern_referentie interne_referentie seller_product_reference handler_artikelnummer
        haendler_artikelnummer best_nr oxartnum retsku supplier_pid aid app_id id_produit
        identifiant_produit code_produit sku_produit
        id_de_producto cod_producto numero_de_publicacion codigo_universal id_prodotto sku_prodotto
        id_do_produto codigo_do_produto identifiant_unique product_uid item_uid
        код_номенклатуры
        идентификатор_товара внешний_код номенклатура_код ідентифікатор_товару
        унікальний_ідентифікатор 판매자_상품코드 자체_상품코드 tcin us_item_id symbol
        ma_phien_ban_san_pham record_reference a001 pk artikelnummer_im_shop
        vörunúmer codi kodea kodi məhsul_kodu mahsulot_kodi барааны_код код_тавару prekes_nr
        পণ্য_কোড কোড பொருள்_குறியீடு குறியீடு ఉత్పత్తి_కోడ్ کوڈ پروڈکٹ_کوڈ kod_produk nambari
        produkkode លេខកូដ ကုဒ် ኮድ kodiċi කේතය ລະຫັດ
        händler_sku sku_venditore sku_vendeur sku_vendedor 出品者sku search_key référence_interne
        bestell_nr bestellnummer interne_referenz referencia_interna riferimento_interno
        referência_interna कोड
        products_model products_id
        gtin ean ean13 ean_code upc upc_code barcode barkod mpn gtin_14 jan_code janコード isbn pzn
        штрихкод штрих_код codigo_de_barras codigo_barras code_barre code_barres codice_a_barre
        kod_kreskowy carovy_kod ciarovy_kod vonalkod streckkod strekkode viivakoodi 条码 条形码 條碼
        바코드 バーコード mã_vạch
        upc_nbr han nr nummer clave slug"""
    ),
    "title": plain_names(
        """title name product_title product_name item_name item_title product_display_name
        display_name offer_title offer_name listing_title post_title goods_name goods_title
        product full_name short_name name_en title_en product_label heading headline item
        название_позиции назва_позиції позиция позиція
        название наименование имя наименование_товара название_товара товар
        наименование_товаров номенклатура полное_наименование
        article_name titel name_de bezeichnung artikelbezeichnung artikelname produktname
        produkttitel
        nom titre nom_produit nom_du_produit libelle_produit libelle libelle_long libelle_court
        designation
        nombre titulo nombre_producto nome nome_prodotto titolo nome_produto
        nome_do_produto nazev nazev_produktu nazev_zbozi nazov nazov_produktu megnevezes termeknev
        urun_adi denumire denumire_produs naziv naziv_proizvoda benamning produktnamn varenavn
        ονομασια produktnavn tuotenimi nimi pavadinimas nosaukums ονομα שם שם_מוצר שם_פריט
        nazwa nazwa_produktu judul nama nama_produk nama_barang naam productnaam
        product_service_name namn navn varetekst назва назва_товару ten_san_pham
        اسم_المنتج ชื่อสินค้า 宝贝名称 produto producto prodotto produit produkt articulo
        tytul tytul_oferty maktx
        material_description materialkurztext
        nombre_del_producto nome_articolo nom_de_l_article intitule denominacion artikelbez art_bez
        artikelomschrijving περιγραφη_ειδους toote_nimetus დასახელება тауар_атауы անվանում
        nazov_tovaru naziv_izdelka назив_артикла назив उत्पाद_का_नाम आइटम_का_नाम nama_produk
        short_text kurztext kurzbezeichnung tuotteen_nimi naziv_artikla naziv_robe
        prekes_pavadinimas preces_nosaukums
        nazwa_towaru urun_ismi artikkelin_nimi termek_neve nume_produs ονομα_προιοντος име
        име_на_продукта نام_کالا نام_محصول الاسم اسم_الصنف ชื่อ ten_hang
        商品名 タイトル 名称 商品名称 标题 商品标题 宝贝标题 品名 产品名称 商品名稱 產品名稱 標題
        상품명 등록상품명 제품명
        nombre_del_articulo nome_del_prodotto denominazione descrizione_articolo nome_do_anuncio
        omschrijving_kort artikelnaam nazwa_artykulu jmeno_produktu nazev_polozky artikelnamn
        urun_basligi baslik найменування वस्तु_का_नाम 商品タイトル short_title
        vöruheiti heiti nom_del_producte titol izena emri emri_i_produktit emërtimi məhsulun_adı
        məhsul_adı adı nomi mahsulot_nomi нэр барааны_нэр পণ্যের_নাম নাম பொருளின்_பெயர் பெயர்
        ఉత్పత్తి_పేరు పేరు پروڈکٹ_کا_نام نام pangalan pangalan_ng_produkto jina jina_la_bidhaa
        produknaam ឈ្មោះ ឈ្មោះផលិតផល အမည် ပစ္စည်းအမည် ስም የምርት_ስም
        이름 tên naam_artikel isem isem_il_prodott enw ainm аталышы उत्पादनाचे_नाव නම භාණ්ඩයේ_නම
        ຊື່ ຊື່ສິນຄ້າ назив_на_производ назив_на_артикл 名前 stok_adı malzeme_adı item_label
        proprietary_name नाम
        सामानको_नाम
        name_product name_1 products_name products_name_1 dish блюдо gericht title_text b203
        trade_item_description benennung"""
    ),
    "description": plain_names(
        """description product_description item_description body_html body long_description
        full_description description_html desc details product_details about_product
        product_information about content text overview short_description summary bullet_points
        bullet_point bullet_point1 features key_features feature_bullets
        описание описание_товара beschreibung produktbeschreibung langbeschreibung
        artikelbeschreibung
        description_produit descripcion descrizione descricao opis opis_oferty detail_desc deskripsi
        опис mo_ta الوصف รายละเอียด popis leiras aciklama descriere beskrivning beskrivelse kuvaus
        περιγραφη תיאור
        omschrijving 商品説明 描述 商品描述 产品描述 宝贝描述 商品詳情 상품설명
        аннотация urun_aciklamasi pc用商品説明文 상세설명 description_long long_desc
        item_caption long_text longdescr keterangan aprasymas opis_artikla apraksts विवरण kirjeldus
        აღწერა նկարագրություն сипаттама σχολια توضیحات lange_omschrijving ext_desc
        langtext beschrijving opis_produktu popis_produktu dlouhy_popis kratky_popis tuotekuvaus
        product_desc prod_desc deskrizzjoni disgrifiad cur_síos сүрөттөмө वर्णन විස්තරය ລາຍລະອຽດ
        lýsing deskribapena përshkrimi təsvir tavsif tavsifi тайлбар апісанне বিবরণ விளக்கம் వివరణ
        تفصیل penerangan paglalarawan maelezo beskrywing ការពិពណ៌នា ဖော်ပြချက် መግለጫ
        products_description products_description_1 oxlongdesc
        marketing_text synopsis وصف caption"""
    ),
    "category": plain_names(
        """category categories category_name category_path product_category product_categories
        product_category_tree google_product_category amazon_category_and_sub_category
        amazon_category main_category category_1 cat categorieën kategorien kategorier kategoriler
        kategorie группы категории
        category_tree breadcrumbs breadcrumb
        category_names cat_name commodity_group categories_paths material_group
        matl_group
        ebay_category_1_name
        collection tax_product_cat category_id categ_id
        article_type product_type
        item_type
        feed_product_type department type sub_category subcategory
        التصنيف القسم категория категории категория_продавца podkategoria раздел kategorie
        warengruppe produktkategorie categorie categoria
        категорія danh_muc kategoria kategori kategorija kategoriju κατηγορια קטגוריה カテゴリ 类目
        분류 分类 类别 商品分类
        宝贝类目 分類 類別 카테고리
        primary_category product_type_name product_group_name fb_product_category 一级类目
        предмет warengrp الفئة
        catalog_group_name productgroep varegruppe varugrupp rayon familia familie departamento
        dept группа группа_товаров название_группы назва_групи 館別 หมวดหมู่ tuoteryhma nhom_hang
        grupa gruppo kategooria კატեգորիա კატეგორია կատեգորիա санат
        श्रेणी دسته_بندی 商品カテゴリ warengruppenbezeichnung
        category_text item_type_keyword taxonomy product_taxonomy produktgruppe artikelgruppe rubrik
        produkttyp famille sous_famille univers subfamilia seccion rubro reparto secao artikelgroep
        grupa_towarowa skupina produktgrupp osasto тип_товара рубрика розділ група ジャンル 品类
        商品類別 상품분류 대분류 部門 部門名 subject_name gruppo_merceologico
        تصنيف_المنتج گروه_کالا shop_cat matkl دسته loai loai_san_pham
        वर्ग වර්ගය ana_grup family flokkur vöruflokkur kateqoriya kategoriya kategoriyasi ангилал
        катэгорыя
        ক্যাটাগরি বিভাগ
        வகை వర్గం زمرہ kategorya ប្រភេទ အမျိုးအစား ምድብ
        produktgruppe_im_shop размещение_на_сайте ομαδα 物料分组 ic_group"""
    ),
    "brand": plain_names(
        """brand brand_name product_brand item_brand brands vendor vendor_name manufacturer
        manufacturer_name maker producer make
        label_name company бренд марка производитель marke hersteller marque fabricant marca
        fabricante produttore marka producent merek merk znacka
        виробник producator valmistaja merke thuong_hieu vyrobce vyrobca gyarto varumarke maerke
        merkki
        μαρκα מותג العلامة_التجارية ブランド ブランド名 メーカー 品牌 브랜드 브랜드명 제조사
        الماركة mfr mfg mfr_name mfg_name κατασκευαστης ยี่ห้อ tuotemerkki tillverkare proizvodac
        производител jenama gamintojas brend razotajs произвођач proizvajalec tootja
        ბრენდი ապրանքանիշ
        ब्रांड برند
        casa_produttrice merknaam fabrikant produsent uretici торговая_марка изготовитель
        торгова_марка メーカー名 制造商 厂家 제조사명
        branda ब्रँड වෙළඳ_නාමය ຍີ່ຫໍ້ framleiðandi vörumerki брэнд вытворца ব্র্যান্ড பிராண்ட்
        బ్రాండ్ برانڈ chapa handelsmerk
        ម៉ាក
        အမှတ်တံဆိပ် ብራንድ
        manufacturers_name oxmanufacturertitle labeler_name marchio יצרן แบรนด์"""
    ),
    "seller": plain_names(
        """seller seller_name shop shop_name shop_title store store_name 店铺名称 merchant
        merchant_name dealer retailer supplier supplier_name source marketplace website site sold_by
        proveedor fornitore fournisseur fornecedor التاجر
        продавец магазин поставщик verkäufer verkaeufer händler haendler lieferant vendeur
        boutique vendedor tienda negozio loja sklep sprzedawca toko penjual 店舗 店铺 卖家 판매자
        sprzedajacy satici البائع
        anbieter venditore verkoper winkel prodejce obchod saljare saelger forhandler selger myyja
        magaza ショップ名 店舗名 商家 판매처 program_name advertiser_name
        ספק dostawca dodavatel leverancier leverandor leverantor toimittaja tedarikci
        szallito furnizor постачальник доставчик добављач 공급사 공급업체 仕入先 ร้านค้า
        供应商 nha_cung_cap nguoi_ban elado vanzator πωλητης מוכר فروشنده विक्रेता ผู้ขาย"""
    ),
    "price": plain_names(
        """price search_price our_price sale_price special_price regular_price sales_price
        variant_price
        selling_price current_price final_price
        discounted_price discount_price actual_price standard_price retail_price list_price
        unit_price price_usd price_eur price_rub price_gbp offer_price product_price item_price
        your_price price_amount amount price_new start_price shop_price store_price web_price
        online_price lst_price buy_it_now_price
        price_tax_incl price_tax_excl price_tax_included price_tax_excluded netpr gross_price
        net_price
        price_gross price_net default_price base_price
        preco_de_venda цена цена_розн цена_розничная цена_с_ндс цена_продажи
        стоимость preis verkaufspreis vk_preis vk_brutto bruttopreis preis_brutto prix prix_ttc
        prix_vente precio prezzo preco cena harga prijs cena_s_dph cena_brutto brutto_ar eladasi_ar
        fiyat satis_fiyati pret cijena pris hinta kaina τιμη מחיר 価格 価格税込 販売価格
        ціна gia gia_ban السعر ราคา 价格 售价 单价 宝贝价格 銷售價 售價 價格 單價 가격 판매가
        mpc salgspris utsalgspris prezzo_listino prezzo_al_pubblico
        판매가격 قیمت سعر_البيع 売価 単価 定価 소비자가 मूल्य
        price_no_tax price_incl_tax buy_now valor_de_venda розница вартість λιανικη_τιμη minorista
        preis_stück stückpreis stueckpreis normál_ár fogyasztói_ár prezz praghas баасы किंमत මිල ລາຄາ
        prezzo_di_listino verð preu
        prezioa prezo çmimi qiymət narx narxi үнэ цана মূল্য দাম விலை
        ధర presyo bei prys
        តម្លៃ ဈေးနှုန်း ዋጋ
        precio_minorista j151"""
    ),
    "attributes": plain_names(
        """attributes specifications specification specs properties characteristics caracteristics
        product_specifications technical_details product_attributes attribute params parameters
        param attrs additional_attributes feature product_detail additional_properties
        характеристики параметры атрибуты свойства eigenschaften merkmale attribute_de
        caracteristiques caracteristicas caratteristiche cechy parametry 規格 属性
        характеристика kenmerken specificaties egenskaper specifikationer ominaisuudet ozellikler
        仕様 スペック 规格 商品属性 參數 规格参数 사양 tech_specs technical_specifications
        caracteristique caracteristica caratteristica cecha kenmerk vlastnost article_features"""
    ),
    "images": plain_names(
        """images image image_url image_urls image_link image_links image_src image_path image_file
        image_file_name image_filename image_name images_url images_urls images_link images_path
        main_image main_image_url main_image_link base_image item_photo item_photo_url
        cover_media_url primary_image primary_image_url
        featured_image product_image product_image_url product_images item_image item_image_url
        cover_image item_cover_image
        additional_image_link additional_image_links additional_images other_image_url other_image
        img imgs img_url img_urls img_link img_src img_path img_ref image_ref photo photos photo_url
        photo_urls photo_path photo_file photos_url picture pictures picture_url picture_urls
        picture_path pic pics pic_url gallery gallery_images variant_image large_image
        hi_res_image image_thumbnail thumbnail thumbnail_url thumb small_image media media_url
        large_image_url image_large high_image
        фото фотография фотографии картинка картинки изображение изображения
        ссылка_на_главное_фото ссылка_на_картинку ссылка_на_изображение ссылка_на_фото
        bild bilder bild_url bilder_url bildlink bilddatei foto fotos foto_url url_image url_photo
        lien_image imagen imagenes url_imagen immagine immagini imagem imagens zdjecie zdjecia
        зображення resim billede billeder kuva kuvat bilde obrazek obrazky obrazok kep kepek imagine
        imagini εικονα תמונה الصورة รูปภาพ รูป hinh_anh снимка slika slike hosted_image_urls
        대표이미지 gambar link_gambar afbeelding afbeeldingen 画像 画像url 商品画像 商品画像url
        대표이미지url صورة صورة_المنتج bild_1_pfad_url 主图链接 gorsel kep_link url_da_imagem
        product_image_file 图片 主图 商品图片
        图片链接 新图片 圖片 이미지
        product_picture product_pictures merchant_image_url aw_image_url رابط_الصورة
        stampa llun íomhá сүрөт රූපය ຮູບພາບ mynd imatge imatges irudia irudiak imaxe imaxes imazhi
        şəkil rasm rasmi зураг фота выява
        ছবি படம் చిత్రం larawan picha beeld រូបភាព ပုံ ምስል
        imurl hoofdafbeelding hoofdafbeelding_url 圖片網址 تصویر mime_source mime_info
        resource_link"""
    ),
    "group": plain_names(
        """group label_group item_group_id group_id product_group product_group_id cluster_id
        cluster parent_id parent_asin entity_id match_group duplicate_group
        spu_id spu master_id variant_group style_id group_key"""
    ),
}
# Those that count only where no other column has the field: other prices, parts of a name.
LATE_NAMES: dict[str, tuple[str, ...]] = {
    "title": plain_names(
        """model class_name shortdescr
        item_desc artikel articolo sku_name model_name style_name part_name part_description
        продукт 商品 产品 제품 상품
        description_short short_desc subject marketing_name website_short_title product_line
        short_description short_description_1 label"""
    ),
    "category": plain_names("тип wg nature_du_produit"),
    "price": plain_names(
        """price_cents price_in_cents amount_cents price_minor price_in_minor_units price_pence
        price_in_pence preis_cent preis_in_cent prix_centimes
        prices_amountmin rrp retail uvp pvp p_v_p listenpreis tarif tarifa importe listino розничная
        ррц ár cost cost_price standard_price min_price minimum_price ovh 정상가 정가 rate
        standard_selling_rate price_tier valor value
        offers prices price_range price_range_v2 sale_price_u price_u zk_final_price original_price
        hind hind_km_ga ფასი багасы գին τιμη_λιανικης
        udsalgspris pv_ttc avp_uvp avp verkauf pricing कीमत harga_jualan kaina_su_pvm ราคาขาย
        mpc_s_pdv_om reserve_price
        map uprc
        цены
        mrp msrp rrp_price msrp_price now gross brutto srp rsp"""
    ),
}
