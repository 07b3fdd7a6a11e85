"""The page that lays two answers side by side: of one offer, or of a file of offers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from twinshelf.client.errors import TwinshelfError, UnauthenticatedError
from twinshelf.client.records import MatchResult, Offer
from twinshelf.client.web.catalogue import keep_table
from twinshelf.client.web.compare_form import CompareForm, read_compare
from twinshelf.client.web.compared_offers import ComparedFile, ComparedOffer, comparison_csv
from twinshelf.client.web.comparison import AnswerComparison, compare_answers
from twinshelf.client.web.guard import LARGEST_PHOTO_BYTES, sent_form, visitor_of
from twinshelf.client.web.match_setting import USE_NAMES, MatchSetting
from twinshelf.client.web.pages import page
from twinshelf.client.web.popularity import by_popularity
from twinshelf.client.web.score_chart import draw_scores
from twinshelf.client.web.search import Card, cards_of, sent_query
from twinshelf.client.web.search_form import SearchForm
from twinshelf.client.web.state import state_of

ROWS_ON_A_PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The answer of one setting.

    Attributes:
        setting: The setting.
        result: What the service said; None when it said nothing.
        cards: Its matches, in the order in which they are shown.
        message: Why there is none; empty when there is one.
    """

    setting: MatchSetting
    result: MatchResult | None = None
    cards: tuple[Card, ...] = ()
    message: str = ""

    @property
    def name(self) -> str:
        """What answered, in words."""
        if self.result is None:
            return self.setting.name
        return f"version {self.result.encoder.version}, {self.setting.name}"


async def show_compare(request: Request) -> HTMLResponse:
    """Answers GET /compare: the form, and both answers to what stands in the address."""
    addresses = state_of(request).config.addresses
    try:
        form = read_compare(dict(request.query_params), addresses)
    except ValueError as error:
        return _compare_page(request, read_compare({}, addresses), str(error), status=400)
    image = state_of(request).kept_photos.find(form.search.photo)
    if form.search.photo and not image:
        message = "That photo is no longer kept here: choose it again."
        return _compare_page(request, form, message, status=404)
    if form.search.is_empty:
        return _compare_page(request, form)
    offer = Offer(title=form.search.title, image=image)
    left, right = await asyncio.gather(
        *(_column(request, form.search, setting, offer) for setting in (form.left, form.right))
    )
    return _compare_page(request, form, columns=(left, right))


async def take_query(request: Request) -> Response:
    """Answers POST /compare: keeps the photo, and leads to the address of the comparison."""
    addresses = state_of(request).config.addresses
    try:
        form = read_compare(await sent_query(request), addresses)
    except ValueError as error:
        return _compare_page(request, read_compare({}, addresses), str(error), status=400)
    return RedirectResponse(form.link(), status_code=303)


async def take_offers(request: Request) -> Response:
    """Answers POST /compare/files: matches the offers of a file in both ways."""
    state, visitor = state_of(request), visitor_of(request)
    async with sent_form(request) as sent:
        given = {name: value for name, value in sent.items() if isinstance(value, str)}
        try:
            form = read_compare(given, state.config.addresses)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        addresses = [setting.service for setting in (form.left, form.right)]
        for address in addresses:
            # Asks for a key here: work in the background cannot.
            await state.service.client(visitor, address).stats()
        upload = state.uploads.find(keep_table(request, sent, "offers"), visitor)
    assert upload is not None
    file = ComparedFile(
        name=upload.name,
        visitor=visitor,
        form=form,
        views_attribute=state.config.views_attribute,
        photos=state.product_photos,
        progress=upload.progress,  # so that the table is kept until then
    )
    left, right = (state.service.waiting_client(visitor, address) for address in addresses)
    work = partial(file.compare, (left, right), upload)
    state.background.start("comparing", file.progress, work, left, right)
    return RedirectResponse(f"/compare/files/{state.compared_files.keep(file)}", status_code=303)


async def show_offers(request: Request) -> HTMLResponse:
    """Answers GET /compare/files/ID: the figures of a file, and a page of its offers."""
    file = _file_of(request)
    is_by_row = request.query_params.get("order") == "row"
    offers = list(file.offers) if is_by_row else sorted(file.offers, key=_sameness)
    page_count = max(1, -(-len(offers) // ROWS_ON_A_PAGE))
    given = request.query_params.get("page", "1")
    number = int(given) if given.isdecimal() and len(given) < 9 else 0
    if not 1 <= number <= page_count:
        raise HTTPException(404, f"The pages of this table are 1 to {page_count}.")
    firsts = [[first for each in offers if (first := each.firsts[side])] for side in (0, 1)]
    values = {
        "file": file,
        "file_id": request.path_params["file"],
        "offers": offers[(number - 1) * ROWS_ON_A_PAGE : number * ROWS_ON_A_PAGE],
        "page_number": number,
        "page_count": page_count,
        "order": "row" if is_by_row else "difference",
        "chart": draw_scores(*([match.score for match in side] for side in firsts)),
    }
    return page(request, "compared_file", values)


async def send_table(request: Request) -> Response:
    """Answers GET /compare/files/ID/table.csv: all offers of a file, in its order."""
    lines = comparison_csv(list(_file_of(request).offers))
    headers = {"content-disposition": 'attachment; filename="comparison.csv"'}
    return StreamingResponse(lines, media_type="text/csv", headers=headers)


def _sameness(offer: ComparedOffer) -> tuple[bool, float, bool, int]:
    """Sorts the largest differences first, and what failed before them."""
    return (not offer.failure, offer.agreement, offer.has_same_first, offer.row)


def _file_of(request: Request) -> ComparedFile:
    file = state_of(request).compared_files.find(request.path_params["file"], visitor_of(request))
    if file is None:
        raise HTTPException(404, "That comparison is no longer kept here: compare the file again.")
    return file


async def _column(
    request: Request, search: SearchForm, setting: MatchSetting, offer: Offer
) -> Column:
    state, sent = state_of(request), setting.offer(offer)
    if sent is None:
        missing = "photo" if setting.use == "photo" else "title"
        return Column(setting=setting, message=f"This query has no {missing} to match by.")
    client = state.service.client(visitor_of(request), setting.service)
    try:
        result = await client.match(sent, setting.options(search.options()))
    except UnauthenticatedError:
        raise
    except TwinshelfError as error:
        return Column(setting=setting, message=error.message)
    ordered = by_popularity(result.matches, search.popularity, state.config.views_attribute)
    cards = cards_of(ordered, sent.title, state)
    return Column(setting=setting, result=result, cards=tuple(cards))


def _compare_page(
    request: Request,
    form: CompareForm,
    message: str = "",
    *,
    columns: tuple[Column, Column] | None = None,
    status: int = 200,
) -> HTMLResponse:
    found: AnswerComparison | None = None
    chart = None
    if columns and not any(column.message for column in columns):
        left, right = ([card.match for card in column.cards] for column in columns)
        found = compare_answers(left, right)
        chart = draw_scores([each.score for each in left], [each.score for each in right])
    values = {
        "form": form,
        "search": form.search,
        "addresses": state_of(request).config.addresses,
        "use_names": USE_NAMES,
        "columns": columns or (),
        "found": found,
        "chart": chart,
        "message": message,
        "limit_bytes": LARGEST_PHOTO_BYTES,
    }
    return page(request, "compare", values, status=status)
