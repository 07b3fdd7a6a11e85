"""The group of one product, found from its ties alone, whatever the size of the catalogue.

It is the group that `make group` forms: ties are added from the strongest to the weakest; of the
parts that exist at some strength and hold the product, the largest that passes the guards is its
group. Since a part above `most_members` cannot pass, no more than that many products are ever
looked at: chains cannot swallow a catalogue, nor the time to group it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MOST_TIES = 10
# Probability of the same product, then the score: a curve is flat at its ends.
Strength = tuple[float, float]
# A product, or minus the number of a group whose pinned members count as one.
Node = int
# The strongest first.
Ties = Sequence[tuple[Node, Strength]]
TiesOf = Callable[[Node], Ties]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupGuards:
    """What keeps groups small and tight; the defaults are those of `make group`.

    Attributes:
        neighbour_count: Nearest products of each product that may be tied to it.
        most_members: Largest group; pinned members of a group count as one.
        least_density: Share of the possible ties within a group that must be there, 0 to 1, where
            `MOST_TIES` a product are enough.
    """

    neighbour_count: int = 50
    most_members: int = 50
    least_density: float = 0.4

    def pass_part(self, size: int, tie_count: int) -> bool:
        """Returns whether a part of so many members and ties may be a group."""
        if size <= 2:
            return True
        reach = min(size - 1, self.neighbour_count, MOST_TIES)
        return (
            size <= self.most_members and tie_count >= self.least_density * size * reach / 2 - 1e-9
        )


def tie_strength(probability: float, score: float) -> Strength:
    """Returns what ties are ordered by; those that differ by chance are equal."""
    return round(probability, 9), round(score, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGroup:
    """The group of a product.

    Attributes:
        members: It and those grouped with it.
        near: All that were looked at: products whose group may depend on it.
    """

    members: frozenset[Node]
    near: frozenset[Node]


def find_group(start: Node, ties_of: TiesOf, guards: GroupGuards) -> FoundGroup:
    """Finds the group of a product.

    Args:
        start: The product.
        ties_of: Returns the ties of a node, the strongest first.
        guards: What groups must pass; two groups with pinned members never become one.
    """
    part = _Part(start, ties_of)
    best = frozenset(part.members)
    while (level := part.find_outwards()) is not None:
        part.absorb(level, guards.most_members)
        if len(part.members) > guards.most_members or part.pinned_count > 1:
            break
        following = part.find_outwards()
        if guards.pass_part(len(part.members), part.count_ties_above(following)):
            best = frozenset(part.members)
    return FoundGroup(members=best, near=frozenset(part.members))


class _Part:
    """Nodes that hang together from some strength on; grows to weaker ones.

    The ties of all members are gone through together, from the strongest to the weakest.
    """

    def __init__(self, start: Node, ties_of: TiesOf) -> None:
        self.members: set[Node] = set()
        self.pinned_count = 0
        self._ties_of = ties_of
        # Strength, negated, and place of the next tie of each member.
        self._next: list[tuple[Strength, int, Node]] = []
        # How many ties within the part were passed: each is passed from both its ends.
        self._passed: Counter[Strength] = Counter()
        self._add(start)

    def find_outwards(self) -> Strength | None:
        """Passes the ties within the part; returns the strength of the next that leaves it."""
        while self._next:
            (probability, score), place, member = self._next[0]
            other, _ = self._ties_of(member)[place]
            if other not in self.members:
                return -probability, -score
            self._passed[-probability, -score] += 1
            self._advance(place, member)
        return None

    def absorb(self, level: Strength, most_members: int) -> None:
        """Adds all that is tied at least so strongly; stops once the part is too large."""
        while (strongest := self.find_outwards()) is not None and strongest >= level:
            _, place, member = self._next[0]
            self._add(self._ties_of(member)[place][0])
            if len(self.members) > most_members:
                return

    def count_ties_above(self, level: Strength | None) -> int:
        """Counts the ties within the part above the strength at which it becomes a larger one."""
        passed = self._passed.total()
        return (passed - (self._passed[level] if level is not None else 0)) // 2

    def _add(self, node: Node) -> None:
        self.members.add(node)
        self.pinned_count += node < 0
        if ties := self._ties_of(node):
            (probability, score) = ties[0][1]
            heapq.heappush(self._next, ((-probability, -score), 0, node))

    def _advance(self, place: int, member: Node) -> None:
        ties = self._ties_of(member)
        if place + 1 == len(ties):
            heapq.heappop(self._next)
        else:
            probability, score = ties[place + 1][1]
            heapq.heapreplace(self._next, ((-probability, -score), place + 1, member))
