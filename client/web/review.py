"""The page that shows uncertain pairs to people, and keeps what they say.

The pairs lie in a file of the page. Each answer asks the service first whether it takes the key of
the visitor, since the file holds what comes from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from twinshelf.client.records import Product
from twinshelf.client.sync_client import Client
from twinshelf.client.web.background import Progress
from twinshelf.client.web.catalogue import keep_table
from twinshelf.client.web.guard import is_returning, sent_form, visitor_of
from twinshelf.client.web.judgements import VERDICTS, JudgedPair
from twinshelf.client.web.pages import page
from twinshelf.client.web.pair_export import csv_lines, ditto_lines, offer_lines
from twinshelf.client.web.product_photos import PhotoPlace, ProductPhotos
from twinshelf.client.web.state import client_of, state_of
from twinshelf.client.web.training_set import training_set
from twinshelf.client.web.uncertain_pairs import PRODUCTS_AT_MOST, Band, is_stored
from twinshelf.client.web.word_comparison import Comparison, compare_words

_TEXTS = ("title", "brand", "category", "description")
# What the page shows besides attributes.
_FIELD_NAMES = (*_TEXTS, "price", "seller", "product")
# What the page says once a form could not do what it was for.
_REFUSALS = {
    "judged": "That pair was judged already, or is somebody else's by now.",
    "nothing": "There is nothing of yours to take back.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedField:
    """A field of two records side by side.

    Attributes:
        name: Of the field.
        words: Its texts.
    """

    name: str
    words: Comparison


def compared_fields(left: Product, right: Product) -> list[ComparedField]:
    """Compares two records, field by field; what neither has is left out.

    Args:
        left: One record.
        right: The other.
    """
    texts = [(name, getattr(left, name), getattr(right, name)) for name in _TEXTS]
    texts.append(("price", _price(left), _price(right)))
    for name in {**left.attributes, **right.attributes}:
        shown = f"attribute {name}" if name in _FIELD_NAMES else name
        texts.append((shown, left.attributes.get(name, ""), right.attributes.get(name, "")))
    return [
        ComparedField(name=name, words=compare_words(one, other))
        for name, one, other in texts
        if one or other
    ]


async def show_review(request: Request) -> Response:
    """Answers GET /review: the next pair of whoever asks.

    A pair is held for its reviewer, so that only those get one who come back with their cookie:
    each request of another site, as for a picture, would take one for a reviewer who never comes.
    """
    await _admit(request)
    if not is_returning(request) and "first" not in request.query_params:
        return RedirectResponse("/review?first", status_code=303)  # brings the cookie back, once
    state, pair = state_of(request), None
    if is_returning(request):
        pair = await run_in_threadpool(state.judgements.next_pair, visitor_of(request))
    values = {
        "pair": pair,
        "fields": compared_fields(pair.left, pair.right) if pair else [],
        "photos": _photos(state.product_photos, pair) if pair else (),
        "counts": await run_in_threadpool(state.judgements.counts),
        "search": state.pairs,
        "band": Band(),
        "products_at_most": PRODUCTS_AT_MOST,
        "is_returning": is_returning(request),
        "message": _REFUSALS.get(request.query_params.get("refused", ""), ""),
    }
    return page(request, "review", values)


async def take_verdict(request: Request) -> Response:
    """Answers POST /review/verdict: keeps what was said of a pair."""
    async with sent_form(request) as form:
        verdict = next((each for each in VERDICTS if each == form.get("verdict")), None)
        pair_id = str(form.get("pair", ""))
    await _admit(request)
    if verdict is None or not pair_id.isdecimal() or len(pair_id) > 18:
        raise HTTPException(400, "A verdict must be same, different or unsure, of one pair.")
    is_kept = await run_in_threadpool(
        state_of(request).judgements.judge, int(pair_id), visitor_of(request), verdict
    )
    return _back(is_kept, "judged")


async def take_back(request: Request) -> Response:
    """Answers POST /review/undo: shows the last judged pair of this visitor again."""
    async with sent_form(request):
        await _admit(request)
    is_undone = await run_in_threadpool(state_of(request).judgements.undo, visitor_of(request))
    return _back(is_undone, "nothing")


async def search_offers(request: Request) -> Response:
    """Answers POST /review/offers: looks for pairs among the offers of a file."""
    state = state_of(request)
    async with sent_form(request) as form:
        band = _band(form)
        await _admit(request)
        upload_id = keep_table(request, form)
    upload = state.uploads.find(upload_id, visitor_of(request))
    assert upload is not None
    work = partial(state.pairs.search_table, upload=upload, band=band)
    return await _start(request, work, upload.progress)  # so that the table is kept until then


async def search_catalogue(request: Request) -> Response:
    """Answers POST /review/catalogue: looks for pairs among the products of the catalogue."""
    async with sent_form(request) as form:
        band, count = _band(form), str(form.get("product_count", ""))
    product_count = int(count) if count.isdecimal() and len(count) < 9 else 0
    if not 1 <= product_count <= PRODUCTS_AT_MOST:
        raise HTTPException(400, f"The number of products must be 1 to {PRODUCTS_AT_MOST:,}.")
    pairs = state_of(request).pairs
    work = partial(pairs.search_catalogue, product_count=product_count, band=band)
    return await _start(request, work, Progress())


async def send_csv(request: Request) -> Response:
    """Answers GET /review/pairs.csv: the judged pairs as a table."""
    await _admit(request)
    lines = csv_lines(state_of(request).judgements.judged())
    return _download(StreamingResponse(lines, media_type="text/csv"), "pairs.csv")


async def send_offers(request: Request) -> Response:
    """Answers GET /review/offers.csv: the offers whose product somebody has named."""
    await _admit(request)
    lines = offer_lines(state_of(request).judgements.judged())
    return _download(StreamingResponse(lines, media_type="text/csv"), "offers.csv")


async def send_ditto(request: Request) -> Response:
    """Answers GET /review/pairs.txt: the judged pairs in Ditto's form."""
    await _admit(request)
    lines = ditto_lines(state_of(request).judgements.judged())
    return _download(StreamingResponse(lines, media_type="text/plain"), "pairs.txt")


async def send_training_set(request: Request) -> Response:
    """Answers GET /review/pairs.zip: the judged pairs as `make pairs` reads them."""
    await _admit(request)
    try:
        data = await run_in_threadpool(training_set, state_of(request).judgements.judged())
    except ValueError as error:
        raise HTTPException(409, str(error)) from None
    return _download(Response(data, media_type="application/zip"), "pairs.zip")


async def _admit(request: Request) -> None:
    await state_of(request).service.admit(visitor_of(request))


def _download(response: Response, name: str) -> Response:
    response.headers["content-disposition"] = f'attachment; filename="{name}"'
    return response


def _back(is_done: bool, refusal: str) -> Response:
    """Leads to the next pair, or to what could not be done: the page asks for its address again."""
    return RedirectResponse("/review" if is_done else f"/review?refused={refusal}", status_code=303)


async def _start(request: Request, work: Callable[[Client], None], progress: Progress) -> Response:
    state = state_of(request)
    # Asks for a key here: work in the background cannot.
    await client_of(request).stats()
    if state.pairs.progress.doing:
        raise HTTPException(409, "Pairs are being looked for already: wait for that.")
    state.pairs.reset(progress)
    client = state.service.waiting_client(visitor_of(request))
    state.background.start("looking for pairs", progress, partial(work, client), client)
    return RedirectResponse("/review", status_code=303)


def _band(form: FormData) -> Band:
    try:
        least, greatest = (float(str(form.get(name, ""))) for name in ("least", "greatest"))
        return Band(least=least, greatest=greatest)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


def _price(record: Product) -> str:
    return "" if record.price is None else f"{record.price:,.2f}"


def _photos(photos: ProductPhotos, pair: JudgedPair) -> tuple[PhotoPlace, PhotoPlace]:
    return (
        photos.place(pair.left, is_stored=is_stored(pair.left_key)),
        photos.place(pair.right, is_stored=is_stored(pair.right_key)),
    )
