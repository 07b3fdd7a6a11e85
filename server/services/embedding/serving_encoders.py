"""The encoders of the service: the one that serves, and perhaps another one beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tritonclient.grpc.service_pb2 import ModelStatisticsResponse

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import Encoder, EncoderInput
from twinshelf.server.encoders.pair_models import PairModels
from twinshelf.server.errors import EncoderChangedError, TwinshelfError
from twinshelf.server.services.requests import HasEncoder, choose_encoder, is_asked_for


class ServingEncoders:
    """One or more encoders as one; see `Encoder`. All of it runs in one event loop.

    The catalogue says which of them serves. When none of them is that one, the first does: the
    operator has put another encoder in its place.
    """

    def __init__(self, encoders: Sequence[Encoder], catalogue: Catalogue) -> None:
        """Takes the encoders, which stay the caller's to close, the first one first."""
        self._encoders = encoders
        self._catalogue = catalogue
        self._by_digest: dict[str, Encoder] = {}

    @property
    def contract(self) -> EncoderContract:
        """The contract of the encoder that serves.

        Raises:
            TwinshelfError: If it is away, or cannot be used; says why.
        """
        return self._serving().contract

    @property
    def pairs(self) -> PairModels:
        """The pair scorer beside the encoder that serves."""
        return self._serving().pairs

    def pairs_of(self, contract: EncoderContract) -> PairModels:
        """Returns the pair scorer beside an encoder.

        Raises:
            EncoderChangedError: If the encoder is not there any more.
        """
        return self._encoder_of(contract).pairs

    def known(self) -> list[EncoderContract]:
        """Returns the contracts of all encoders that can be asked now, serving or not."""
        found = []
        for encoder in self._encoders:
            try:
                contract = encoder.contract
            except TwinshelfError:
                continue
            self._by_digest[contract.digest] = encoder
            found.append(contract)
        return found

    def beside(self) -> list[EncoderContract]:
        """Returns the contracts of the encoders beside that every write must reach as well."""
        kept = self._catalogue.encoders.kept
        if not kept:
            return []
        return [each for each in self.known() if each.digest in kept and not self.is_serving(each)]

    def choose(self, request: HasEncoder, path: str) -> EncoderContract:
        """Returns the contract of the encoder that a request asks for, or of the one that serves.

        Args:
            request: What the caller relies on.
            path: What stands before the names of the request's fields.

        Raises:
            InvalidRequestError: If the version is negative.
            EncoderMismatchError: If that encoder neither serves nor is kept.
            TwinshelfError: If the one that serves is away, and is asked for.
        """
        beside = self.beside()
        try:
            contracts = [self.contract, *beside]
        except TwinshelfError:
            is_named = request.encoder_digest or request.encoder_version
            contracts = [each for each in beside if is_named and is_asked_for(request, each)]
            if not contracts:
                raise
        return choose_encoder(request, contracts, path)

    def is_serving(self, contract: EncoderContract) -> bool:
        """Whether an encoder is the one that serves, as far as is known."""
        try:
            return self.contract.digest == contract.digest
        except TwinshelfError:
            return self._catalogue.encoders.current in (None, contract.digest)

    async def refresh(self) -> EncoderContract:
        """Looks at all encoders again; returns the contract of the one that serves.

        Raises:
            TwinshelfError: If that is away, or cannot be used.
        """
        await asyncio.gather(
            *(encoder.refresh() for encoder in self._encoders), return_exceptions=True
        )
        return self.contract

    async def statistics(self) -> ModelStatisticsResponse | None:
        """Returns what Triton counts of the models of the encoder that serves."""
        return await self._serving().statistics()

    async def encode(
        self, inputs: Sequence[EncoderInput], contract: EncoderContract
    ) -> list[OfferEmbedding | TwinshelfError]:
        """Embeds rows by the encoder that a contract is of; see `Encoder`."""
        try:
            encoder = self._encoder_of(contract)
        except TwinshelfError as error:
            return [error] * len(inputs)
        return await encoder.encode(inputs, contract)

    async def close(self) -> None:
        """Frees what the encoders hold. A repeat is safe."""
        await asyncio.gather(*(encoder.close() for encoder in self._encoders))

    def _encoder_of(self, contract: EncoderContract) -> Encoder:
        """Returns the encoder of a contract, which may be away or another one by now."""
        if contract.digest not in self._by_digest:
            self.known()
        if (encoder := self._by_digest.get(contract.digest)) is None:
            raise EncoderChangedError("the encoder has just changed; repeat the request")
        return encoder

    def _serving(self) -> Encoder:
        current = self._catalogue.encoders.current
        away: Encoder | None = None
        for encoder in self._encoders:
            try:
                digest = encoder.contract.digest
            except TwinshelfError:
                away = away or encoder
                continue
            self._by_digest[digest] = encoder
            if digest == current:
                return encoder
        # One that is away may be the one that serves.
        return self._encoders[0] if away is None or current is None else away
