"""The encoders of a service for ordinary code: `Client.encoders`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from twinshelf.client.conversions import encoder_request
from twinshelf.client.encoders import conversions
from twinshelf.client.encoders.records import (
    EncoderComparison,
    EncoderState,
    EncoderSwitch,
    ReindexAnswer,
)
from twinshelf.client.records import Product
from twinshelf.client.sync_calls import SyncCalls
from twinshelf.v1 import encoder_service_pb2 as pb
from twinshelf.v1 import encoder_service_pb2_grpc


class Encoders:
    """Tells of encoders and changes them.

    Every method raises what those of `Client` raise, and takes `timeout_s` as they do. An encoder
    is named by its version, or by its digest. A switch or a drop whose answer was lost is not
    repeated, as that would find it made: it ends UNAVAILABLE.
    """

    def __init__(self, stub: encoder_service_pb2_grpc.EncoderServiceStub, calls: SyncCalls) -> None:
        """Takes the service, and how `Client` calls a method of it, and opens a stream."""
        self._stub = stub
        self._calls = calls
        self._call = calls.call
        self._change = partial(calls.call, is_safe_to_repeat=False)

    def list(self, *, timeout_s: float | None = None) -> tuple[EncoderState, ...]:
        """Returns every encoder that is reached or has embedded a product; the serving one first.

        Args:
            timeout_s: Time for the call, seconds.
        """
        answer = self._call(self._stub.ListEncoders, pb.ListEncodersRequest(), timeout_s)
        return conversions.encoder_states(answer)

    def reindex(self, encoder: int | str, *, timeout_s: float | None = None) -> EncoderState:
        """Begins to embed the catalogue for an encoder beside the one that serves.

        Returns at once; `list` tells how far it is. Photos are sent by `reindex_products`.

        Args:
            encoder: Version or digest.
            timeout_s: Time for the call, seconds.

        Raises:
            PreconditionError: If it serves and lacks nothing, or a third one is kept.
        """
        request = encoder_request(pb.ReindexRequest, encoder)
        answer = self._call(self._stub.Reindex, request, timeout_s)
        return conversions.encoder_state(answer.encoder)

    def reindex_products(
        self, products: Iterable[Product], *, timeout_s: float | None = None
    ) -> Iterator[ReindexAnswer]:
        """Sends the photos of stored products again; yields each answer, in any order.

        Nothing but identifier and photos is sent; what is embedded already is not embedded again.

        Args:
            products: Taken lazily, as fast as the service answers.
            timeout_s: Longest silence of the service while it owes answers, seconds.

        Raises:
            TwinshelfError: If the stream fails as a whole; one failing product is an answer.
        """
        method = conversions.reindex_method()
        return self._calls.stream(self._stub.ReindexProducts, method, products, timeout_s)

    def switch(self, encoder: int | str, *, timeout_s: float | None = None) -> EncoderSwitch:
        """Lets an encoder serve that has embedded every product, at once.

        Args:
            encoder: Version or digest; that of the one before switches back.
            timeout_s: Time for the call, seconds.

        Raises:
            PreconditionError: If it lacks products.
        """
        request = encoder_request(pb.SwitchEncoderRequest, encoder)
        answer = self._change(self._stub.SwitchEncoder, request, timeout_s)
        return conversions.encoder_switch(answer)

    def drop(self, encoder: int | str, *, timeout_s: float | None = None) -> int:
        """Removes the vectors of an encoder that does not serve; returns of how many products.

        Args:
            encoder: Version or digest; the digest where the service does not reach it.
            timeout_s: Time for the call, seconds; a large catalogue may need minutes. The drop
                goes on when it is over.

        Raises:
            PreconditionError: If it serves.
        """
        request = encoder_request(pb.DropEncoderRequest, encoder)
        answer = self._change(self._stub.DropEncoder, request, timeout_s)
        return int(answer.dropped_product_count)

    def compare(self, *, timeout_s: float | None = None) -> EncoderComparison:
        """Tells how the encoder beside answers a sample of the live matches.

        Args:
            timeout_s: Time for the call, seconds.
        """
        answer = self._call(self._stub.CompareEncoders, pb.CompareEncodersRequest(), timeout_s)
        return conversions.encoder_comparison(answer)
