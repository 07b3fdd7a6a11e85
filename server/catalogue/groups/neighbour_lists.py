"""The nearest products of each product, as far as groups need them: read, changed, written back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from twinshelf.server.catalogue.groups.amounts import Amounts, do_amounts_clash, read_amounts
from twinshelf.server.catalogue.groups.formation import Strength, tie_strength
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.pair_curve import PairCurve

# Of one pattern: number of the other product to score, nearest first.
Neighbours = dict[int, float]
# Those of one product.
Lists = dict[Pattern, Neighbours]


class NeighbourLists:
    """Neighbour lists in memory on their way between two states of what is stored.

    A list holds the products whose score with its owner reaches the pattern's threshold, nearest
    first, `length` at most. Two products are tied where each stands in the other's list, unless
    their titles state different amounts.

    Attributes:
        short: Products whose full list lost one, so that it may lack a product.
        displaced: Owners of full lists that took a nearer one, and whom they lost by it.
    """

    def __init__(
        self,
        read: Callable[[int], Lists],
        titles: Callable[[Collection[int]], Mapping[int, str]],
        curves: Mapping[Pattern, PairCurve],
        length: int,
    ) -> None:
        """Reads lists as they are asked for.

        Args:
            read: Returns the lists of a product as they are stored.
            titles: Returns the titles of those of some products that there are.
            curves: What a score of each pattern means.
            length: Longest list.
        """
        self._read = read
        self._titles = titles
        self._curves = curves
        self._length = length
        self._lists: dict[int, Lists] = {}
        self._amounts: dict[int, Amounts] = {}
        self._changed: set[int] = set()
        self.short: set[int] = set()
        self.displaced: set[int] = set()

    def of(self, product: int) -> Lists:
        """Returns the lists of a product, by pattern."""
        lists = self._lists.get(product)
        if lists is None:
            lists = self._read(product)
            self._lists[product] = lists
        return lists

    def ties(self, product: int) -> dict[int, Strength]:
        """Returns the products that are tied to one, and how strongly, by the best pattern."""
        ties: dict[int, Strength] = {}
        for pattern, neighbours in self.of(product).items():
            if (curve := self._curves.get(pattern)) is None:
                continue
            mutual = [other for other in neighbours if product in self.of(other).get(pattern, ())]
            mutual = self._without_clashes(product, mutual)
            scores = np.array([neighbours[other] for other in mutual])
            for other, score, probability in zip(
                mutual, scores.tolist(), curve.probability(scores).tolist(), strict=True
            ):
                strength = tie_strength(probability, score)
                ties[other] = max(strength, ties.get(other, strength))
        return ties

    def read_titles(self, products: Iterable[int]) -> None:
        """Reads the titles of products, those that are not known yet, all at once."""
        unknown = set(products) - self._amounts.keys()
        titles = self._titles(unknown) if unknown else {}
        self._amounts |= {each: read_amounts(titles.get(each, "")) for each in unknown}

    def replace(self, product: int, found: Mapping[Pattern, Neighbours], *, forget: bool) -> None:
        """Puts new lists in the place of a product's, and the product into those of the others.

        Args:
            product: The product.
            found: Its new lists; none of a product that is gone.
            forget: Whether what others know of it is void, as its vector is another.
        """
        if forget:
            self._forget(product)
        self._lists[product] = {pattern: dict(each) for pattern, each in found.items() if each}
        self._changed.add(product)
        for pattern, neighbours in found.items():
            for other, score in neighbours.items():
                self._offer(other, pattern, product, score)

    def changed(self) -> dict[int, Lists]:
        """Returns the lists of the products whose lists changed."""
        return {
            product: {pattern: each for pattern, each in self._lists[product].items() if each}
            for product in self._changed
        }

    def _without_clashes(self, product: int, others: list[int]) -> list[int]:
        self.read_titles([product, *others])
        ours = self._amounts[product]
        return [each for each in others if not do_amounts_clash(ours, self._amounts[each])]

    def _forget(self, product: int) -> None:
        for pattern, neighbours in self.of(product).items():
            for other in neighbours:
                theirs = self.of(other).get(pattern, {})
                if product in theirs:
                    # A list that was cut may have had more to hold.
                    if len(theirs) >= self._length:
                        self.short.add(other)
                    del theirs[product]
                    self._changed.add(other)

    def _offer(self, owner: int, pattern: Pattern, product: int, score: float) -> None:
        """Lets a product into a list that it belongs into."""
        neighbours = self.of(owner).setdefault(pattern, {})
        if neighbours.get(product) == score:
            return
        neighbours[product] = score
        self._changed.add(owner)
        if len(neighbours) > self._length:
            farthest = min(neighbours, key=lambda other: (neighbours[other], -other))
            del neighbours[farthest]
            self.displaced |= {owner, farthest}
