"""The pages of the catalogue: what it holds, a product with its neighbours, tables to store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from twinshelf.client.errors import InvalidRequestError, TwinshelfError, UnauthenticatedError
from twinshelf.client.files.names.columns import FIELDS
from twinshelf.client.records import Match, MatchOptions
from twinshelf.client.web.guard import sent_form, visitor_of
from twinshelf.client.web.pages import page
from twinshelf.client.web.popularity import views_of
from twinshelf.client.web.search import cards_of
from twinshelf.client.web.state import client_of, state_of
from twinshelf.client.web.table_uploads import TableUpload

PRODUCTS_ON_A_PAGE = 50
NEIGHBOURS_SHOWN = 12
ROWS_SHOWN = 100


async def show_catalogue(request: Request) -> HTMLResponse:
    """Answers GET /catalogue: the counts, and a page of the products."""
    client = client_of(request)
    token = request.query_params.get("after", "")
    stats = await client.stats()
    try:
        products = await client.list_page(page_size=PRODUCTS_ON_A_PAGE, page_token=token)
    except InvalidRequestError:
        if not token:
            raise
        raise HTTPException(400, "There is no such page of the catalogue.") from None
    attribute = state_of(request).config.views_attribute
    values = {
        "stats": stats,
        "rows": [(each, views_of(each, attribute)) for each in products.products],
        "next_token": products.next_page_token,
        "is_first": not token,
    }
    return page(request, "catalogue", values)


async def show_product(request: Request) -> HTMLResponse:
    """Answers GET /catalogue/product: a product, and the products most like it."""
    client, photos = client_of(request), state_of(request).product_photos
    stored = await client.get(request.query_params.get("id", ""))
    product = stored.product
    offer = photos.offer(product)
    matches: tuple[Match, ...] = ()
    message = trouble = ""
    if not (offer.image or product.pattern in ("text", "both")):
        message = "Neighbours need a text or a photo that lies below the folder of photos."
    else:
        options = MatchOptions(match_count=NEIGHBOURS_SHOWN, excludes_own_product=True)
        try:
            matches = (await client.match(offer, options)).matches
        except UnauthenticatedError:
            raise
        except TwinshelfError as error:
            trouble = error.message
    values = {
        "stored": stored,
        "product": product,
        "photo": photos.place(product),
        "cards": cards_of(matches, product.title, state_of(request)),
        "message": message,
        "trouble": trouble,
    }
    return page(request, "product", values)


async def take_table(request: Request) -> Response:
    """Answers POST /catalogue/uploads: keeps a table and reads it."""
    async with sent_form(request) as form:
        await state_of(request).service.admit(visitor_of(request))
        upload_id = keep_table(request, form)
    _read(request, _upload_of(request, upload_id))
    return RedirectResponse(f"/catalogue/uploads/{upload_id}", status_code=303)


def keep_table(request: Request, form: FormData, field: str = "file") -> str:
    """Keeps the table of a form, perhaps in the place of an older one; returns its identifier.

    Args:
        request: That brought the form, of a visitor whom the service lets in.
        form: With the table.
        field: Its name there.

    Raises:
        HTTPException: If it has none, or the page has no room for it.
    """
    file = form.get(field)
    if not isinstance(file, UploadFile) or not file.size:
        raise HTTPException(400, "Choose a file that holds a table.")
    name = (file.filename or "table.csv").replace("\\", "/").rsplit("/", 1)[-1]
    try:
        return state_of(request).uploads.keep(name, file.file, visitor_of(request))
    except OSError as error:
        said = f"The page cannot keep this table now: {error.strerror}."
        raise HTTPException(507, said) from None


async def show_table(request: Request) -> HTMLResponse:
    """Answers GET /catalogue/uploads/ID: how a table would be read, or how far it is stored."""
    upload = _upload_of(request, request.path_params["upload"])
    report = upload.report
    if report and upload.progress.doing:
        upload.progress.done_count = report.stored_count + len(report.failures)
    values = {
        "upload": upload,
        "upload_id": request.path_params["upload"],
        # The group is for training, the catalogue has no place for it.
        "fields": [name for name in FIELDS if name != "group"],
        "image_root": state_of(request).config.image_root,
        "failures": report.failures[:ROWS_SHOWN] if report else [],
    }
    return page(request, "upload", values)


async def take_columns(request: Request) -> Response:
    """Answers POST /catalogue/uploads/ID/columns: reads a table again, as the visitor says."""
    async with sent_form(request) as form:
        upload = _idle_upload(request)
        columns = {name: tuple(filter(None, map(str, form.getlist(name)))) for name in FIELDS}
    _read(request, upload, columns)
    return _back(request)


async def store_table(request: Request) -> Response:
    """Answers POST /catalogue/uploads/ID/store: stores the products of a table."""
    async with sent_form(request):
        upload = _idle_upload(request)
    if upload.check is None:
        raise HTTPException(409, "This table cannot be read: choose other columns first.")
    check, state = upload.check, state_of(request)
    client = state.service.waiting_client(visitor_of(request))
    state.background.start("storing", upload.progress, partial(upload.store, client), client)
    upload.progress.total_count = (
        check.both_count + check.image_count + check.text_count + check.bad_count
    )
    return _back(request)


def _read(
    request: Request, upload: TableUpload, columns: Mapping[str, Sequence[str]] | None = None
) -> None:
    upload.report = None
    read = partial(upload.find_columns, columns)
    state_of(request).background.start("reading", upload.progress, read)


def _upload_of(request: Request, upload_id: str) -> TableUpload:
    upload = state_of(request).uploads.find(upload_id, visitor_of(request))
    if upload is None:
        raise HTTPException(404, "That table is no longer kept here: upload it again.")
    return upload


def _idle_upload(request: Request) -> TableUpload:
    upload = _upload_of(request, request.path_params["upload"])
    if upload.progress.doing:
        raise HTTPException(409, "Something is done with this table already: wait for it.")
    return upload


def _back(request: Request) -> Response:
    return RedirectResponse(f"/catalogue/uploads/{request.path_params['upload']}", status_code=303)
