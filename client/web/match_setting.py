"""One way to match, of two that are laid side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from twinshelf.client.records import MatchOptions, ModalityWeights, Offer

Use = Literal["both", "photo", "text", "weighted"]
USE_NAMES: Final[Mapping[Use, str]] = {
    "both": "photo and text, as fitted",
    "photo": "photo alone",
    "text": "text alone",
    "weighted": "photo and text, weighed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSetting:
    """Where an offer is matched, and by what of it.

    Attributes:
        service: Address of the service, host:port.
        use: What of the offer counts.
        image_weight: Weight of the image in the score, 0 to 1, where they are weighed.

    Raises:
        ValueError: If the weight is out of range.
    """

    service: str
    use: Use = "both"
    image_weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.image_weight <= 1:
            raise ValueError(f"The weight of the photo must be 0 to 1, got {self.image_weight}.")

    @property
    def name(self) -> str:
        """What it is, in words."""
        if self.use == "weighted":
            return f"photo {self.image_weight:.0%}, text {1 - self.image_weight:.0%}"
        return USE_NAMES[self.use]

    def offer(self, offer: Offer) -> Offer | None:
        """Returns what of an offer is sent; None when that is nothing.

        Args:
            offer: With all that it has.
        """
        sent = offer
        if self.use == "photo":
            sent = Offer(image=offer.image, product_id=offer.product_id, seller=offer.seller)
        elif self.use == "text":
            sent = replace(offer, image=b"")
        texts = (sent.title, sent.description, sent.category, sent.brand)
        return sent if sent.image or any(texts) else None

    def options(self, options: MatchOptions) -> MatchOptions:
        """Returns how to match.

        Args:
            options: What both settings share.
        """
        if self.use != "weighted":
            return replace(options, weights=None)
        weights = ModalityWeights(image=self.image_weight, text=1 - self.image_weight)
        return replace(options, weights=weights)


def read_setting(
    given: Mapping[str, str], side: str, usual: MatchSetting, services: tuple[str, ...]
) -> MatchSetting:
    """Reads a setting from the address of a page; what is missing is as usual.

    Args:
        given: Name to text; the names begin with the side.
        side: "left" or "right".
        usual: Taken for what is missing.
        services: Addresses that may be asked.

    Raises:
        ValueError: If a value is none.
    """
    use = given.get(f"{side}_use", usual.use)
    service = given.get(f"{side}_service", usual.service)
    weight = given.get(f"{side}_weight", str(usual.image_weight))
    if service not in services:
        raise ValueError(f"The service must be one of {', '.join(services)}, got {service[:40]!r}.")
    for known in get_args(Use):
        if use == known:
            try:
                return MatchSetting(service=service, use=known, image_weight=float(weight))
            except ValueError:
                raise ValueError(
                    f"The weight of the photo must be 0 to 1, got {weight[:40]!r}."
                ) from None
    raise ValueError(f"What counts must be one of {', '.join(get_args(Use))}, got {use[:40]!r}.")
