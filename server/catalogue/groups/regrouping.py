"""Which products change their group when ties have changed, and what that means for the groups.

A group keeps its number while most of its members stay together, as `make group --previous` keeps
names; what splits off gets a new one, which was never given before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from twinshelf.server.catalogue.groups.formation import (
    GroupGuards,
    Node,
    Strength,
    Ties,
    find_group,
)
from twinshelf.server.catalogue.groups.group_record import (
    EventKind,
    Member,
    Move,
    NewGroup,
    kind_of_move,
)
from twinshelf.server.catalogue.groups.group_store import GroupStore

Products = frozenset[int]


class Regrouping:
    """One change of ties, and the groups around it."""

    def __init__(
        self,
        groups: GroupStore,
        ties_of: Callable[[int], Mapping[int, Strength]],
        guards: GroupGuards,
        gone: Products = frozenset(),
    ) -> None:
        """Takes the groups as they stand.

        Args:
            groups: Reads members; they are held meanwhile.
            ties_of: Returns the ties of a product as they are now.
            guards: What groups must pass.
            gone: Products that are no longer there, and leave their groups.
        """
        self._gone = gone
        self._groups = groups
        self._ties_of = ties_of
        self._guards = guards
        self._members: dict[int, Member | None] = {}
        self._whole: dict[int, Sequence[Member]] = {}
        self._ties: dict[Node, Ties] = {}

    def parts_around(self, touched: Iterable[int], lost: Iterable[int]) -> list[Products]:
        """Returns the groups, as they should be, of all products that may be concerned.

        Args:
            touched: Products whose ties changed.
            lost: Those of them that lost a tie, and those that are new: more may hang on them.
        """
        waiting = {self._node(product) for product in touched}
        for product in lost:
            waiting |= find_group(self._node(product), self._node_ties, self._guards).near
        parts: list[Products] = []
        done: set[Node] = set()
        while waiting:
            node = waiting.pop()
            if node in done:
                continue
            found = find_group(node, self._node_ties, self._guards).members
            done |= found
            products = self._products(found)
            parts.append(products)
            # Who stood with them so far may have to leave.
            waiting |= {self._node(each) for each in self._companions(products)} - done
        return sorted(parts, key=min)

    def moves(self, parts: Sequence[Products], ids: Callable[[int], str | None]) -> list[Move]:
        """Returns what must happen for the parts to become the groups.

        Args:
            parts: From `parts_around`.
            ids: Returns the identifier of a product; None for one that is no longer there.
        """
        targets = self._name(parts)
        kept = set(targets)
        moves: list[Move] = []
        leaving: dict[int, dict[int, str]] = defaultdict(dict)
        for part, target in zip(parts, targets, strict=True):
            is_empty = isinstance(target, NewGroup)
            for source, products in self._arrivals(part, target, ids):
                if target is None and source is not None:
                    leaving[source] |= products
                    continue
                kind = kind_of_move(
                    source, target, empties_source=source not in kept, fills_target=is_empty
                )
                moves.append(Move(products=products, source=source, target=target, kind=kind))
                is_empty = False
        return moves + [
            Move(products=products, source=source, target=None, kind=EventKind.LEFT)
            for source, products in leaving.items()
        ]

    def _arrivals(
        self,
        part: Products,
        target: int | NewGroup | None,
        ids: Callable[[int], str | None],
    ) -> list[tuple[int | None, dict[int, str]]]:
        """Returns the products that are not where they should be, by the group that they are in.

        Those without a group come last: a new group that splits off is told of as such.
        """
        sources: dict[int | None, dict[int, str]] = defaultdict(dict)
        for product in sorted(part):
            member = self._member(product)
            source = member.group if member else None
            product_id = member.product_id if member else ids(product)
            if source != target and product_id is not None:
                sources[source][product] = product_id
        return sorted(sources.items(), key=lambda item: (item[0] is None, item[0]))

    def _name(self, parts: Sequence[Products]) -> list[int | NewGroup | None]:
        """Gives each earlier group to the part that holds most of its members; see the file."""
        claims = []
        for place, part in enumerate(parts):
            members = [member for each in part - self._gone if (member := self._member(each))]
            pinned = {member.group for member in members if member.is_pinned}
            counts = Counter(member.group for member in members)
            claims += [
                (group not in pinned, -count, group, min(part), place)
                for group, count in counts.items()
            ]
        names: dict[int, int] = {}
        for _, _, group, _, place in sorted(claims):
            if place not in names and group not in names.values():
                names[place] = group
        return [
            names.get(place, NewGroup() if len(part) > 1 else None)
            for place, part in enumerate(parts)
        ]

    def _companions(self, products: Iterable[int]) -> set[int]:
        groups = {member.group for each in products if (member := self._member(each))}
        return {member.product_number for group in groups for member in self._whole_group(group)}

    # Nodes: the pinned members of a group count as one.

    def _node(self, product: int) -> Node:
        member = self._member(product)
        is_pinned = member is not None and member.is_pinned and product not in self._gone
        return -member.group if member and is_pinned else product

    def _products(self, nodes: Iterable[Node]) -> Products:
        return frozenset(each for node in nodes for each in self._products_of(node))

    def _products_of(self, node: Node) -> Iterable[int]:
        if node > 0:
            return (node,)
        numbers = (each.product_number for each in self._whole_group(-node) if each.is_pinned)
        return (number for number in numbers if number not in self._gone)

    def _node_ties(self, node: Node) -> Ties:
        """Returns the ties of a node that may count, the strongest first.

        Who is tied to pinned members goes with the group of the nearest of them: a tie between
        two that go with different groups would keep both out of either.
        """
        found = self._ties.get(node)
        if found is None:
            side = self._side(node)
            ties = self._all_ties(node)
            if side is not None:
                ties = {o: each for o, each in ties.items() if self._side(o) in (None, side)}
            found = sorted(ties.items(), key=lambda each: each[1], reverse=True)
            self._ties[node] = found
        return found

    def _side(self, node: Node) -> Node | None:
        if node < 0:
            return node
        pinned = [(each, other) for other, each in self._all_ties(node).items() if other < 0]
        return max(pinned)[1] if pinned else None

    def _all_ties(self, node: Node) -> Mapping[Node, Strength]:
        ties: dict[Node, Strength] = {}
        for product in self._products_of(node):
            for other, strength in self._ties_of(product).items():
                theirs = self._node(other)
                if theirs != node:
                    ties[theirs] = max(strength, ties.get(theirs, strength))
        return ties

    def _member(self, product: int) -> Member | None:
        if product not in self._members:
            self._members[product] = self._groups.member(product)
        return self._members[product]

    def _whole_group(self, group: int) -> Sequence[Member]:
        if group not in self._whole:
            self._whole[group] = self._groups.members(group)
            self._members.update({each.product_number: each for each in self._whole[group]})
        return self._whole[group]
