"""What a row of a table for people is labelled, as a total or a note below it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from twinshelf.client.files.rows import Label
from twinshelf.client.files.values.cell_values import text_of

_LONGEST_NUMBER = 40
_LONGEST_LABEL = 200
_NUMBER = re.compile(r"[^\w]*\d[\d\s.,'’]*[^\w]*(?:[^\W\d_]{1,4}\.?)?\W*")
# What it has so many of.
COUNTED = (
    r"(?:rows?|records?|items?|products?|lines?|results?|entries|positions?|articles?|artikel"
    r"|zeilen|datens[äa]tze|positionen|produkte|lignes|produits|filas|registros|productos"
    r"|позици\w+|товар\w*|строк\w*|запис\w+|наименовани\w+|rader|righe|prodotti|行|件|条|個)"
)
# Beside a label it is a number: "Total", "10 items".
_COUNT = re.compile(rf"\d[\d.,\s]*{COUNTED}\W*", re.IGNORECASE)
# What adds up those above.
TOTAL_WORD = (
    r"(?:(?:grand|sub|net|gross|overall|order|stock|sum|page)[\s-]?)?totals?|sum"
    r"|(?:gesamt|zwischen|end)?summe|gesamt|insgesamt|(?:sous-)?total\s(?:g[ée]n[ée]ral|ht|ttc)"
    r"|average|durchschnitt|moyenne|promedio|среднее|totale|totaal|(?:sub)?suma|razem|og[óo]łem"
    r"|celkem|spolu|[öo]sszesen|(?:genel\s)?toplam"
    r"|jumlah|summa|i\s?alt|totalt|yhteens[äa]|ukupno|итого|всего|итог|разом|усього|общо|σύνολο"
    r"|סה.?כ|合计|总计|小计|总额|合計|總計|小計|합계|총계|소계"
)
TOTAL = re.compile(rf"\W*(?:{TOTAL_WORD})(?:\s{COUNTED})?\s*(?:[:=(–-].*|[\d.,\s]*)", re.IGNORECASE)
# What stands below a table: how many rows it has, or when it was made.
NOTE = re.compile(
    rf"\W*\d[\d.,\s]*{COUNTED}(?:\s(?:in set|affected|exported|selected|returned|found"
    r"|total|processed|listed|displayed|shown|retrieved).*)?\W*"
    r"|\W*(?:report |file |list |data )?(?:generated|exported|created|printed) (?:by|on|at)\b.*"
    r"|\W*end of (?:the )?(?:report|file|data|list|export|table)\b.*"
    r"|\W*(?:page|seite|стр\w*\.?) \d+ (?:of|/|von|из) \d+\W*"
    r"|\\\.",  # of PostgreSQL's COPY
    re.IGNORECASE,
)
# With the name of what is summed up behind.
_SUBTOTAL = re.compile(
    r"\W*(?:sub[\s-]?totals?|zwischensumme|übertrag|sous-total|subtotale|subtotaal|brought forward"
    r"|carried forward|промежуточный итог|итого по|всего по|小计|小計)(?!\w)",
    re.IGNORECASE,
)
_PAGE = re.compile(
    r"\W*(?:page|seite|página|pagina|стр\w*\.?) \d+(?: (?:of|/|von|из|de|di|van) \d+)?\W*", re.I
)


def is_subtotal(label: Label) -> bool:
    """Whether a label is that of a subtotal, or the number of a page."""
    is_page = label.is_alone and _PAGE.fullmatch(label.text) is not None
    return is_page or _SUBTOTAL.match(label.text) is not None


def label_of(cells: Sequence[object]) -> Label | None:
    """Returns the text of a row that else holds numbers and blanks; None for any other row.

    Args:
        cells: All of the row. A row that begins with a number, as an identifier is, has no label.
    """
    if len(cells) < 2:
        return None
    label, is_alone = "", True
    for cell in cells:
        text = cell.strip() if isinstance(cell, str) else text_of(cell)
        if not text:
            continue
        is_number = _is_number(text) or bool(label) and _COUNT.fullmatch(text) is not None
        if is_number != bool(label) or len(text) > _LONGEST_LABEL:
            return None
        label, is_alone = label or text, not label
    return Label(text=label, is_alone=is_alone) if label else None


def _is_number(text: str) -> bool:
    if text[0].isalpha() or len(text) > _LONGEST_NUMBER:
        return False
    return bool(_NUMBER.fullmatch(text)) and not NOTE.fullmatch(text)
