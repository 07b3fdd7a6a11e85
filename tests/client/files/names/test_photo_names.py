"""Columns of photos in any language are read together, the main one first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("Bild 1,Bild 2", "Bild 1,Bild 2"),
        ("Obrázek 2,Obrázek 1", "Obrázek 1,Obrázek 2"),
        ("image_url_2,image_url_10,image_url_1", "image_url_1,image_url_2,image_url_10"),
        ("img2,img", "img,img2"),
        ("Afbeelding 1,Afbeelding 2", "Afbeelding 1,Afbeelding 2"),
        ("Kuva 1,Kuva 2", "Kuva 1,Kuva 2"),
        ("Resim 1,Resim 2", "Resim 1,Resim 2"),
        ("Зображення 1,Зображення 2", "Зображення 1,Зображення 2"),
        ("image_2,image_3,main_image", "main_image,image_2,image_3"),
        ("Дополнительные фото,Главное фото", "Главное фото,Дополнительные фото"),
        ("Zusatzbild 1,Hauptbild", "Hauptbild,Zusatzbild 1"),
        ("imagenes adicionales,imagen principal", "imagen principal,imagenes adicionales"),
        ("图片1,图片2,主图", "主图,图片1,图片2"),
        ("추가이미지1,대표이미지", "대표이미지,추가이미지1"),
        ("Item Photo 2,Cover photo", "Cover photo,Item Photo 2"),
        ("thumbnail,image", "image"),
        ("IMGURL,IMGURL_ALTERNATIVE", "IMGURL,IMGURL_ALTERNATIVE"),
        ("image,defaultImage,image2", "defaultImage,image,image2"),
        ("Bild-URL (klein),Bild-URL (groß)", "Bild-URL (groß),Bild-URL (klein)"),
        ("imageURL,imageURLHighRes", "imageURLHighRes,imageURL"),
        ("Iconic Image Path,logo_image", "Iconic Image Path"),
        ("shop_image_path", "shop_image_path"),
        ("image,brand_image,size chart photo,obrazovka", "image"),
    ],
)
def test_photo_columns_are_read_in_their_order(tmp_path: Path, header: str, order: str) -> None:
    names = header.split(",")
    cells = ",".join(
        "LCD" if name == "obrazovka" else f"http://shop.example/{place}.jpg"
        for place, name in enumerate(names)
    )
    (row,), _, _ = read(write(tmp_path, f"sku,title,{header}\n1,Mug,{cells}\n"))
    expected = [f"http://shop.example/{names.index(name)}.jpg" for name in order.split(",")]
    assert [photo.name for photo in row.photos] == expected
