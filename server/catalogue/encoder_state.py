"""Which encoder serves a catalogue, which others are kept, and what that means for a write."""

from __future__ import annotations

from dataclasses import dataclass, replace

from twinshelf.server.catalogue.product_record import ProductVector
from twinshelf.server.errors import EncoderChangedError, EncoderConflictError


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderState:
    """The encoders of a catalogue.

    Attributes:
        current: Digest of the encoder that serves; None before the first.
        kept: Digests of the encoders that every write reaches.
    """

    current: str | None = None
    kept: frozenset[str] = frozenset()

    def keeping(self, digest: str) -> EncoderState:
        """Returns the state in which another encoder is kept beside the one that serves.

        What was kept beside one that another has replaced is let go of: no write renews it, and
        where it has all there is of some products, it cannot be dropped.

        Raises:
            EncoderConflictError: If those of a third one are kept.
        """
        kept = self.kept if self.current in self.kept else frozenset()
        others = kept - {self.current, digest}
        if others:
            raise EncoderConflictError(
                f"vectors of the encoder {min(others)} are kept beside those that serve; "
                "drop them first"
            )
        own = frozenset() if self.current is None else frozenset([self.current])
        return replace(self, kept=kept | own | {digest})

    def dropping(self, digest: str) -> EncoderState:
        """Returns the state in which an encoder is no longer kept; one alone is none.

        Raises:
            EncoderConflictError: If it serves, or none does.
        """
        self.check_drop(digest)
        left = self.kept - {digest}
        return replace(self, kept=frozenset() if left == {self.current} else left)

    def check_drop(self, digest: str) -> None:
        """Checks that the vectors of an encoder may be removed.

        Raises:
            EncoderConflictError: If it serves, or none does.
        """
        if self.current is None:
            raise EncoderConflictError(
                f"no encoder serves yet; the vectors of {digest} may be all there is"
            )
        if digest == self.current:
            raise EncoderConflictError(f"the encoder {digest} serves; it cannot be dropped")

    def check_switch(self, digest: str) -> None:
        """Checks that an encoder may serve, once it has embedded every product.

        Raises:
            EncoderConflictError: If it is not kept.
        """
        if digest not in self.kept:
            raise EncoderConflictError(
                f"the catalogue has not been embedded by {digest}; reindex it first"
            )

    def choose(self, vectors: tuple[ProductVector, ...]) -> tuple[ProductVector, ...]:
        """Returns those vectors of a write that are stored: of the encoders that are kept.

        Where the one that serves is not kept beside another, that is its own, or else the first:
        products of an older encoder are then embedded again one by one.

        Raises:
            EncoderChangedError: If that of the encoder that serves is missing; another one came
                into service since they were made.
        """
        if self.current not in self.kept:
            own = tuple(made for made in vectors if made.digest == self.current)
            return own or vectors[:1]
        chosen = tuple(made for made in vectors if made.digest in self.kept)
        if self.current not in {made.digest for made in chosen}:
            raise EncoderChangedError("the encoder has just changed; repeat the request")
        return chosen

    def check_kept(self, digest: str) -> None:
        """Checks that the vectors of an encoder are kept.

        Raises:
            EncoderChangedError: If they are not.
        """
        if digest not in self.kept:
            raise EncoderChangedError(f"vectors of the encoder {digest} are not kept")


def only_vectors_error(count: int, digest: str) -> EncoderConflictError:
    """Makes the error of dropping an encoder whose vectors some products have alone."""
    return EncoderConflictError(
        f"{count} products have not been embedded by the encoder that serves; those of {digest} "
        "are all there is of them"
    )


def missing_error(count: int, digest: str) -> EncoderConflictError:
    """Makes the error of a switch to an encoder that some products are missing of."""
    return EncoderConflictError(
        f"{count} products have not been embedded by {digest} yet",
        facts={"missing_product_count": str(count)},
    )
