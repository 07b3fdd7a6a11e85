"""The page that searches: a photo, a title, or both, and the products that they may show."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from twinshelf.client.errors import TwinshelfError, UnauthenticatedError
from twinshelf.client.records import Match, MatchResult, Offer
from twinshelf.client.web.failures import status_of
from twinshelf.client.web.guard import LARGEST_PHOTO_BYTES, sent_form, visitor_of
from twinshelf.client.web.kept_photos import photo_type
from twinshelf.client.web.pages import FOLDER, page
from twinshelf.client.web.popularity import by_popularity, views_of
from twinshelf.client.web.product_photos import PhotoPlace
from twinshelf.client.web.search_form import CARDS_ON_A_PAGE, SearchForm, read_search
from twinshelf.client.web.state import PageState, client_of, state_of
from twinshelf.client.web.word_comparison import Comparison, compare_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A match as it is shown.

    Attributes:
        rank: From 1.
        match: What the service said.
        photo: Where its photo can be seen.
        words: The title of the offer beside that of the product.
        views: How often the product was viewed; None when the catalogue does not say.
    """

    rank: int
    match: Match
    photo: PhotoPlace
    words: Comparison
    views: float | None


def cards_of(
    matches: tuple[Match, ...], title: str, state: PageState, *, first_rank: int = 1
) -> list[Card]:
    """Makes the cards of matches.

    Args:
        matches: Best first.
        title: Of the offer.
        state: Of the page; knows where photos are, and which attribute holds views.
        first_rank: Rank of the first.
    """
    return [
        Card(
            rank=rank,
            match=match,
            photo=state.product_photos.place(match.product),
            words=compare_words(title, match.product.title),
            views=views_of(match.product, state.config.views_attribute),
        )
        for rank, match in enumerate(matches, start=first_rank)
    ]


async def show_search(request: Request) -> HTMLResponse:
    """Answers GET /: the form, and the results of what stands in the address."""
    try:
        search = read_search(request.query_params)
    except ValueError as error:
        return _search_page(request, SearchForm(), message=str(error), status=400)
    if search.is_empty:
        return _search_page(request, search)
    image = state_of(request).kept_photos.find(search.photo)
    if search.photo and not image:
        message = "That photo is no longer kept here: choose it again."
        return _search_page(request, search, message=message, status=404)
    try:
        result = await client_of(request).match(
            Offer(title=search.title, image=image), search.options()
        )
    except UnauthenticatedError:
        raise
    except TwinshelfError as error:
        return _search_page(request, search, message=error.message, status=status_of(error))
    product_count = len(result.matches) or (await client_of(request).stats()).product_count
    return _search_page(request, search, result=result, product_count=product_count)


async def take_search(request: Request) -> Response:
    """Answers POST /: keeps the photo, and leads to the address of the search."""
    try:
        search = read_search(await sent_query(request))
    except ValueError as error:
        return _search_page(request, SearchForm(), message=str(error), status=400)
    return RedirectResponse(search.link(page=1), status_code=303)


async def sent_query(request: Request) -> dict[str, str]:
    """Reads a form that asks for products, and keeps its photo.

    Args:
        request: That brings the form.

    Returns:
        What stands in it, name to text; the photo by its name.

    Raises:
        ValueError: If the photo is none, or too large.
        TwinshelfError: If it is of a visitor whom the service does not let in.
    """
    async with sent_form(request) as form:
        upload = form.get("file")
        values = {name: value for name, value in form.items() if isinstance(value, str)}
        if isinstance(upload, UploadFile) and upload.size:
            if upload.size > LARGEST_PHOTO_BYTES:
                limit_mib = LARGEST_PHOTO_BYTES // 2**20
                raise ValueError(f"A photo may have {limit_mib} MiB, this one has more.")
            await state_of(request).service.admit(visitor_of(request))
            values["photo"] = state_of(request).kept_photos.keep(await upload.read())
    return values


async def send_kept_photo(request: Request) -> Response:
    """Answers with a photo that somebody searches with."""
    data = state_of(request).kept_photos.find(request.path_params["name"])
    return photo_response(data)


async def send_product_photo(request: Request) -> Response:
    """Answers with the photo of a product, when it lies below the folder of photos."""
    await state_of(request).service.admit(visitor_of(request))
    photos = state_of(request).product_photos
    return photo_response(photos.read(request.query_params.get("uri", "")))


async def send_thumbnail(request: Request) -> Response:
    """Answers with the thumbnail of a product, or with a picture that says that there is none."""
    try:
        data = await client_of(request).thumbnail(request.query_params.get("id", ""))
    except TwinshelfError:
        data = b""
    return photo_response(data) if data else FileResponse(FOLDER / "static" / "no-photo.svg")


def photo_response(data: bytes) -> Response:
    """Makes the answer of a photo.

    Args:
        data: Its bytes; empty when there is none.
    """
    if not data:
        return Response(status_code=404)
    headers = {"cache-control": "private, max-age=3600"}
    return Response(data, media_type=photo_type(data), headers=headers)


def _search_page(
    request: Request,
    search: SearchForm,
    *,
    result: MatchResult | None = None,
    product_count: int = 0,
    message: str = "",
    status: int = 200,
) -> HTMLResponse:
    cards: list[Card] = []
    page_count = 1
    if result is not None:
        state, start = state_of(request), (search.page - 1) * CARDS_ON_A_PAGE
        ordered = by_popularity(result.matches, search.popularity, state.config.views_attribute)
        shown = ordered[start : start + CARDS_ON_A_PAGE]
        cards = cards_of(shown, search.title, state, first_rank=start + 1)
        page_count = max(1, -(-len(result.matches) // CARDS_ON_A_PAGE))
    values = {
        "search": search,
        "result": result,
        "product_count": product_count,
        "cards": cards,
        "page_count": page_count,
        "message": message,
        "limit_bytes": LARGEST_PHOTO_BYTES,
    }
    return page(request, "search", values, status=status)
