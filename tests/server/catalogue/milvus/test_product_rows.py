"""Products and the state of a catalogue survive their way through a row of Milvus."""

from __future__ import annotations

from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.encoder_state import EncoderState
from twinshelf.server.catalogue.milvus.collections import CHUNK_BYTES
from twinshelf.server.catalogue.milvus.product_rows import (
    MadeVectors,
    ProductRow,
    product_key,
    vector_keys,
)
from twinshelf.server.catalogue.milvus.state import CatalogueState
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.encoders.modalities import Pattern

DIGEST = make_contract().digest


def test_a_product_comes_back_as_it_was_however_long() -> None:
    made = MadeVectors(
        pattern=Pattern.BOTH, version=7, further_count=2, image_dimension=16, mark="00ff"
    )
    row = ProductRow(
        number=1 << 58,
        change=(1 << 58) + 1,
        update_time_us=5,
        vectors={0xABC: made},
        record=ProductRecord(
            product_id='ü "\\ %',
            title="x" * (2 * CHUNK_BYTES),
            description="é\n" + "\U0001f600ы" * CHUNK_BYTES,
            price=0.1,
            attributes={"colour": "réd"},
        ),
    )
    stored = row.to_row()
    sizes_bytes = [len(chunk.encode()) for chunk in stored["body"]]
    assert CHUNK_BYTES - 4 < min(sizes_bytes[:-1])
    assert max(sizes_bytes) <= CHUNK_BYTES
    assert sum(sizes_bytes) < row.record.size_bytes + 200  # texts are as they were, not escaped
    assert ProductRow.from_row(stored) == row


def test_keys_keep_the_order_of_identifiers_and_tell_versions_apart() -> None:
    ids = ["", "a", "a b", "b", "z", "é", "€", "\U0001f600"]
    assert sorted(ids, key=product_key) == ids
    keys = vector_keys(5, 6, 3) + vector_keys(5, 7, 1) + vector_keys(6, 6, 1)
    assert len(set(keys)) == len(keys)


def test_the_state_comes_back_and_a_dropped_encoder_begins_anew() -> None:
    state = CatalogueState(
        encoders=EncoderState(current="other", kept=frozenset(["other", DIGEST])),
        known=frozenset([DIGEST]),
    )
    assert CatalogueState.from_json(state.to_json()) == state
    dropped = state.dropping(DIGEST)
    assert dropped.encoders.kept == frozenset()
    assert dropped.made_number(DIGEST) != state.made_number(DIGEST)
    assert CatalogueState.from_json(dropped.to_json()) == dropped
