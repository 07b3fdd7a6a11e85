"""What the handlers share while the page runs."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from twinshelf.client.async_client import AsyncClient
from twinshelf.client.web.background import Background
from twinshelf.client.web.compared_offers import ComparedFiles
from twinshelf.client.web.config import PageConfig
from twinshelf.client.web.guard import visitor_of
from twinshelf.client.web.judgements import Judgements
from twinshelf.client.web.kept_photos import KeptPhotos
from twinshelf.client.web.product_photos import ProductPhotos
from twinshelf.client.web.service_access import ServiceAccess
from twinshelf.client.web.table_uploads import TableUploads
from twinshelf.client.web.uncertain_pairs import PairSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class PageState:
    """What one running page holds.

    Attributes:
        config: As it was started.
        service: The matching service.
        background: Work that goes on behind the requests.
        kept_photos: Photos that visitors search with.
        product_photos: Photos of products.
        uploads: Tables that visitors brought.
        compared_files: Files of offers that were matched in two ways.
        judgements: Pairs, and what people said of them.
        pairs: Looks for more of them.
    """

    config: PageConfig
    service: ServiceAccess
    background: Background
    kept_photos: KeptPhotos
    product_photos: ProductPhotos
    uploads: TableUploads
    compared_files: ComparedFiles
    judgements: Judgements
    pairs: PairSearch


def state_of(request: Request) -> PageState:
    """Returns what the page holds."""
    state: PageState = request.app.state.page
    return state


def client_of(request: Request) -> AsyncClient:
    """Returns the client with the key of whoever asks."""
    return state_of(request).service.client(visitor_of(request))
