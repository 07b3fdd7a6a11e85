"""Neighbour lists: ties need both sides, full lists give way to nearer products, rows come back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from twinshelf.server.catalogue.groups.group_reader import read_lists
from twinshelf.server.catalogue.groups.group_writer import write_lists
from twinshelf.server.catalogue.groups.neighbour_lists import NeighbourLists
from twinshelf.server.catalogue.rows.schema import open_writer
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.pair_curve import PairCurve

IMAGE, TEXT = Pattern.IMAGE, Pattern.TEXT
CURVES = {
    IMAGE: PairCurve(scores=(0.0, 1.0), probabilities=(0.0, 1.0), threshold=0.5),
    TEXT: PairCurve(scores=(0.0, 1.0), probabilities=(0.0, 0.5), threshold=0.5),
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_writer(tmp_path / "catalogue.sqlite")
    yield opened
    opened.close()


TITLES = {6: "tea 250 g", 7: "tea 0.25 kg", 8: "tea 400 g"}


def lists_of(connection: sqlite3.Connection) -> NeighbourLists:
    """Makes lists of two products at most."""
    return NeighbourLists(
        partial(read_lists, connection),
        lambda products: {each: TITLES[each] for each in products if each in TITLES},
        CURVES,
        2,
    )


@pytest.fixture
def lists(connection: sqlite3.Connection) -> NeighbourLists:
    return lists_of(connection)


def test_a_tie_has_the_strength_of_its_best_pattern(lists: NeighbourLists) -> None:
    lists.replace(1, {IMAGE: {2: 0.7}, TEXT: {2: 0.9, 3: 0.8}}, forget=True)
    assert lists.ties(1) == {2: (0.7, 0.7), 3: (0.4, 0.8)}
    assert lists.ties(2) == {1: (0.7, 0.7)}


def test_titles_of_other_amounts_are_not_tied(lists: NeighbourLists) -> None:
    lists.replace(7, {IMAGE: {6: 0.9, 8: 0.9}}, forget=True)
    assert set(lists.ties(7)) == {6}
    assert set(lists.ties(6)) == {7}
    assert lists.ties(8) == {}


def test_a_full_list_gives_way_to_a_nearer_product_alone(lists: NeighbourLists) -> None:
    for product, score in ((2, 0.6), (3, 0.7), (4, 0.8), (5, 0.55)):
        lists.replace(product, {IMAGE: {1: score}}, forget=True)
    assert set(lists.ties(1)) == {3, 4}
    # Two and five have the product in their lists, but stand in none.
    assert lists.ties(2) == lists.ties(5) == {}
    assert lists.displaced == {1, 2, 5}


def test_a_new_vector_takes_the_product_out_of_all_lists(lists: NeighbourLists) -> None:
    lists.replace(1, {IMAGE: {2: 0.7, 3: 0.8}}, forget=True)
    lists.replace(2, {IMAGE: {1: 0.7, 3: 0.9}}, forget=True)
    lists.replace(1, {IMAGE: {}}, forget=True)
    assert lists.ties(1) == {}
    assert set(lists.ties(3)) == {2}
    # Their lists were full, and may lack another product now.
    assert lists.short >= {2, 3}


def test_a_mere_search_anew_leaves_the_lists_of_others(lists: NeighbourLists) -> None:
    lists.replace(1, {IMAGE: {2: 0.7}}, forget=True)
    lists.replace(1, {IMAGE: {3: 0.9}}, forget=False)
    assert set(lists.of(2)[IMAGE]) == {1}
    assert set(lists.ties(1)) == {3}


def test_lists_come_back_as_they_were_written(
    connection: sqlite3.Connection, lists: NeighbourLists
) -> None:
    lists.replace(1, {IMAGE: {2: 0.7}, TEXT: {2: 0.9, 3: 0.8}}, forget=True)
    write_lists(connection, lists.changed())
    again = lists_of(connection)
    assert [again.of(product) for product in (1, 2, 3)] == [
        {IMAGE: {2: 0.7}, TEXT: {2: 0.9, 3: 0.8}},
        {IMAGE: {1: 0.7}, TEXT: {1: 0.9}},
        {TEXT: {1: 0.8}},
    ]
    again.replace(1, {}, forget=True)
    write_lists(connection, again.changed())
    assert connection.execute("SELECT count(*) FROM group_neighbours").fetchone() == (0,)
