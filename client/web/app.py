"""The web application: its addresses, what they answer, and what it holds while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from twinshelf.client.errors import TwinshelfError
from twinshelf.client.web import (
    catalogue,
    compare,
    failures,
    groups,
    health,
    product_map,
    review,
    search,
)
from twinshelf.client.web.background import Background
from twinshelf.client.web.compared_offers import ComparedFiles
from twinshelf.client.web.config import PageConfig
from twinshelf.client.web.guard import Guard, sent_form, visitor_of
from twinshelf.client.web.judgements import Judgements
from twinshelf.client.web.kept_photos import KeptPhotos
from twinshelf.client.web.pages import FOLDER
from twinshelf.client.web.product_photos import ProductPhotos
from twinshelf.client.web.service_access import ServiceAccess
from twinshelf.client.web.state import PageState, state_of
from twinshelf.client.web.table_uploads import TableUploads
from twinshelf.client.web.uncertain_pairs import PairSearch

ROUTES = [
    Route("/", search.show_search),
    Route("/", search.take_search, methods=["POST"]),
    Route("/kept-photo/{name}", search.send_kept_photo),
    Route("/product-photo", search.send_product_photo),
    Route("/thumbnail", search.send_thumbnail),
    Route("/compare", compare.show_compare),
    Route("/compare", compare.take_query, methods=["POST"]),
    Route("/compare/files", compare.take_offers, methods=["POST"]),
    Route("/compare/files/{file}", compare.show_offers),
    Route("/compare/files/{file}/table.csv", compare.send_table),
    Route("/catalogue", catalogue.show_catalogue),
    Route("/catalogue/product", catalogue.show_product),
    Route("/catalogue/map", product_map.show_map),
    Route("/catalogue/uploads", catalogue.take_table, methods=["POST"]),
    Route("/catalogue/uploads/{upload}", catalogue.show_table),
    Route("/catalogue/uploads/{upload}/columns", catalogue.take_columns, methods=["POST"]),
    Route("/catalogue/uploads/{upload}/store", catalogue.store_table, methods=["POST"]),
    Route("/groups", groups.show_groups),
    Route("/groups/group", groups.show_group),
    Route("/groups/history", groups.show_history),
    Route("/groups/split", groups.split_group, methods=["POST"]),
    Route("/groups/merge", groups.merge_groups, methods=["POST"]),
    Route("/groups/undo", groups.undo_event, methods=["POST"]),
    Route("/review", review.show_review),
    Route("/review/verdict", review.take_verdict, methods=["POST"]),
    Route("/review/undo", review.take_back, methods=["POST"]),
    Route("/review/offers", review.search_offers, methods=["POST"]),
    Route("/review/catalogue", review.search_catalogue, methods=["POST"]),
    Route("/review/pairs.csv", review.send_csv),
    Route("/review/pairs.txt", review.send_ditto),
    Route("/review/offers.csv", review.send_offers),
    Route("/review/pairs.zip", review.send_training_set),
    Route("/health", health.show_health),
]


def make_app(config: PageConfig) -> ASGIApp:
    """Makes the application; the service is reached at the first call.

    Args:
        config: Where the service is, and what of this machine the page may use.

    Raises:
        ValueError: If the file of judgements cannot be used.
    """
    judgements = Judgements(config.judgements)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        """Holds what the handlers share."""
        service, background = ServiceAccess(config), Background()
        photos = ProductPhotos(config.image_root)
        with TemporaryDirectory(prefix="twinshelf-web-") as folder:
            app.state.page = PageState(
                config=config,
                service=service,
                background=background,
                kept_photos=KeptPhotos(),
                product_photos=photos,
                uploads=TableUploads(Path(folder), config.image_root),
                compared_files=ComparedFiles(),
                judgements=judgements,
                pairs=PairSearch(judgements=judgements, photos=photos),
            )
            try:
                yield
            finally:
                await background.close()
                await service.close()

    app = Starlette(
        routes=[
            *ROUTES,
            Route("/key", take_key, methods=["POST"]),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(config.hosts), www_redirect=False)
        ],
        exception_handlers={
            TwinshelfError: failures.service_failed,
            HTTPException: failures.refused,
            Exception: failures.broken,
        },
        lifespan=lifespan,
    )
    # Outermost, so that an answer to a fault of ours is guarded as well.
    return Guard(app)


async def take_key(request: Request) -> Response:
    """Answers POST /key: keeps the API key of a visitor until the page ends, and leads back."""
    async with sent_form(request) as form:
        key, again = (str(form.get(name, "")).strip() for name in ("key", "again"))
    try:
        await state_of(request).service.keep_key(visitor_of(request), key)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
    # A path of ours: neither another server, as //name, nor what a browser takes for that.
    is_ours = again.startswith("/") and again[1:2] not in ("/", "\\")
    return RedirectResponse(again if is_ours else "/", status_code=303)
