"""What every catalogue promises of several encoders: none is ever compared with another."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from tests.server.catalogue.conftest import OpenCatalogue
from tests.server.catalogue.products import (
    CONTRACT,
    last_change,
    made_by,
    new_product,
    query_of,
    random_embedding,
)
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import NewProduct, NewVector
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import (
    EncoderChangedError,
    EncoderConflictError,
    EncoderUnavailableError,
    ProductChangedError,
)

NEW = make_contract("second", 2)
Embeddings = dict[str, OfferEmbedding]


async def fill(catalogue: Catalogue, rng: np.random.Generator, count: int = 30) -> Embeddings:
    """Stores products of the first encoder; returns what it made of them."""
    await catalogue.use_encoder(CONTRACT)
    made = {f"p{n}": random_embedding(rng, Pattern(1 + n % 3)) for n in range(count)}
    await asyncio.gather(*(catalogue.upsert(new_product(*item)) for item in made.items()))
    return made


async def reindex(catalogue: Catalogue, rng: np.random.Generator, limit: int = 1000) -> Embeddings:
    """Embeds what the new encoder has not; returns what it made of these products."""
    await catalogue.encoders.keep(NEW.digest)
    await catalogue.open_index(NEW)
    made: Embeddings = {}
    number = 0
    while page := await catalogue.encoders.unembedded_after(number, NEW.digest, 7):
        for each in page[: limit - len(made)]:
            product_id = each.product.record.product_id
            made[product_id] = random_embedding(rng, each.product.pattern)
            vector = NewVector(
                product_id=product_id,
                made=made_by(NEW, made[product_id]),
                expected_change=each.change_sequence,
            )
            await catalogue.encoders.add(vector)
        number = page[-1].product_number
    return made


async def best(catalogue: Catalogue, embedding: OfferEmbedding, contract: EncoderContract) -> str:
    """Returns the product most alike an embedding by an encoder; it must score 1."""
    query = replace(query_of(embedding, count=1), contract=contract)
    (hit,) = (await catalogue.search(query)).hits
    assert hit.ranked.score == pytest.approx(1, abs=2e-3)  # fp16
    return hit.product.record.product_id


@pytest.mark.slow
async def test_a_new_encoder_is_filled_beside_the_old_one_and_switched_to_and_back(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(1)
    catalogue = open_catalogue()
    old = await fill(catalogue, rng)
    new = await reindex(catalogue, rng, limit=20)
    assert catalogue.encoders.count_missing(NEW.digest) == 10
    with pytest.raises(EncoderConflictError, match="10 products"):
        await catalogue.encoders.switch(NEW)
    # As after a restart: only what is missing is embedded.
    await catalogue.close()
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    rest = await reindex(catalogue, rng)
    assert rest.keys() == old.keys() - new.keys()
    new |= rest
    await catalogue.encoders.switch(NEW)
    assert catalogue.encoders.current == NEW.digest
    for made, contract in ((old, CONTRACT), (new, NEW)):
        for product_id, embedding in made.items():
            assert await best(catalogue, embedding, contract) == product_id
    stored = await catalogue.product("p1")
    assert stored is not None and stored.digest == NEW.digest
    await catalogue.encoders.switch(CONTRACT)
    assert catalogue.encoders.current == CONTRACT.digest
    assert (await catalogue.stats(CONTRACT.digest)).product_count == 30
    await catalogue.close()


async def test_writes_reach_both_encoders_or_wait_for_the_one_that_they_miss(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(2)
    catalogue = open_catalogue()
    await fill(catalogue, rng, 3)
    await reindex(catalogue, rng)
    old, new = random_embedding(rng), random_embedding(rng)
    both = new_product("p0", old)
    both = replace(both, vectors=(*both.vectors, made_by(NEW, new)))
    await catalogue.upsert(both)
    assert catalogue.encoders.count_missing(NEW.digest) == 0
    assert await best(catalogue, old, CONTRACT) == await best(catalogue, new, NEW) == "p0"
    await catalogue.upsert(new_product("p0", random_embedding(rng)))
    await catalogue.upsert(new_product("p9", random_embedding(rng)))
    assert catalogue.encoders.count_missing(NEW.digest) == 2
    assert (await reindex(catalogue, rng)).keys() == {"p0", "p9"}
    await catalogue.delete(["p1", "p9"])
    assert catalogue.encoders.count_missing(NEW.digest) == 0
    assert catalogue.encoders.count_vectors() == {CONTRACT.digest: 2, NEW.digest: 2}
    # What no encoder reads may change without an embedding.
    stored = await catalogue.changeable("p0")
    assert stored is not None and stored.vectors.keys() == {CONTRACT.digest, NEW.digest}
    priced = NewProduct(
        record=replace(stored.product.record, price=2.5),
        vectors=(stored.vectors[CONTRACT.digest],),
        keeps_others=True,
    )
    assert not (await catalogue.upsert(priced)).changes
    assert catalogue.encoders.count_missing(NEW.digest) == 0
    await catalogue.close()


async def test_after_a_switch_a_write_without_the_new_vector_is_refused(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(3)
    catalogue = open_catalogue()
    await fill(catalogue, rng, 3)
    await reindex(catalogue, rng)
    await catalogue.encoders.switch(NEW)
    with pytest.raises(EncoderChangedError):
        await catalogue.upsert(new_product("p0", random_embedding(rng)))
    # The old one may be away: then it lacks the product, and nobody can go back to it.
    await catalogue.upsert(new_product("p0", random_embedding(rng), NEW))
    assert catalogue.encoders.count_missing(NEW.digest) == 0
    with pytest.raises(EncoderConflictError, match="1 products"):
        await catalogue.encoders.switch(CONTRACT)
    await catalogue.close()


async def test_a_vector_of_what_has_changed_since_is_refused(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(4)
    catalogue = open_catalogue()
    await fill(catalogue, rng, 2)
    await catalogue.encoders.keep(NEW.digest)
    first, _ = await catalogue.encoders.unembedded_after(0, NEW.digest, 9)
    vector = NewVector(
        product_id=first.product.record.product_id,
        made=made_by(NEW, random_embedding(rng)),
        expected_change=first.change_sequence,
    )
    await catalogue.upsert(new_product(vector.product_id, random_embedding(rng)))
    with pytest.raises(ProductChangedError):
        await catalogue.encoders.add(vector)
    await catalogue.delete([vector.product_id])
    with pytest.raises(ProductChangedError):
        await catalogue.encoders.add(vector)
    await catalogue.close()


@pytest.mark.slow
@pytest.mark.parametrize("restarts", [False, True])
async def test_dropping_leaves_one_encoder_with_everything(
    open_catalogue: OpenCatalogue, restarts: bool
) -> None:
    rng = np.random.default_rng(5)
    catalogue = open_catalogue()
    await fill(catalogue, rng)
    new = await reindex(catalogue, rng)
    with pytest.raises(EncoderConflictError, match="serves"):
        await catalogue.encoders.drop(CONTRACT.digest)
    await catalogue.encoders.switch(NEW)
    # Between two versions of a vector of the encoder that goes.
    await catalogue.upsert(new_product("p0", random_embedding(rng), NEW))
    assert await catalogue.encoders.drop(CONTRACT.digest) == 29
    if restarts:
        await catalogue.close()
        catalogue = open_catalogue()
        await catalogue.use_encoder(NEW)
    assert catalogue.encoders.kept == frozenset()
    assert catalogue.encoders.count_vectors() == {NEW.digest: 30}
    assert catalogue.encoders.count_missing(NEW.digest) == 0
    for product_id, embedding in list(new.items())[1:]:
        assert await best(catalogue, embedding, NEW) == product_id
    with pytest.raises(EncoderUnavailableError):
        await catalogue.search(query_of(random_embedding(rng)))
    with pytest.raises(EncoderConflictError, match="reindex it first"):
        await catalogue.encoders.switch(CONTRACT)
    await catalogue.close()


@pytest.mark.slow
async def test_every_encoder_has_all_photos_of_a_product(open_catalogue: OpenCatalogue) -> None:
    rng = np.random.default_rng(8)
    catalogue = open_catalogue()
    await catalogue.use_encoder(CONTRACT)
    photos = {c.digest: [random_embedding(rng) for _ in range(4)] for c in (CONTRACT, NEW)}
    await fill(catalogue, rng, 3)

    def vectors(contract: EncoderContract, count: int = 4) -> NewProduct:
        first, *further = photos[contract.digest][:count]
        return new_product("many", first, contract, further=further)

    async def check(count: int = 4) -> None:
        for contract in (CONTRACT, NEW):
            for photo in photos[contract.digest][:count]:
                shown = OfferEmbedding(image=photo.image, text=None)
                assert await best(catalogue, shown, contract) == "many"
            stats = await catalogue.stats(contract.digest)
            assert stats.photo_count == stats.image_count + count - 1

    await catalogue.upsert(vectors(CONTRACT))
    await catalogue.encoders.keep(NEW.digest)
    *_, missing = await catalogue.encoders.unembedded_after(0, NEW.digest, 9)
    assert missing.further_count == 3
    (made,) = vectors(NEW).vectors
    await catalogue.open_index(NEW)
    await catalogue.encoders.add(
        NewVector(product_id="many", made=made, expected_change=missing.change_sequence)
    )
    await check()
    await reindex(catalogue, rng)
    changes = await last_change(catalogue)
    await catalogue.encoders.switch(NEW)
    await check()
    assert await last_change(catalogue) == changes
    stored = await catalogue.changeable("many")
    assert stored is not None
    for contract in (CONTRACT, NEW):
        (expected,), found = vectors(contract).vectors, stored.vectors[contract.digest]
        np.testing.assert_array_equal(found.further_images, expected.further_images)
    both = vectors(NEW, 2)
    both = replace(both, vectors=(*both.vectors, *vectors(CONTRACT, 2).vectors))
    await catalogue.upsert(both)
    await check(2)
    assert not (await catalogue.upsert(both)).changes
    await catalogue.snapshot()
    await catalogue.close()

    catalogue = open_catalogue()
    await catalogue.use_encoder(NEW)
    await catalogue.open_index(CONTRACT)
    await check(2)
    await catalogue.encoders.drop(CONTRACT.digest)
    assert (await catalogue.stats(CONTRACT.digest)).photo_count == 0
    photo = OfferEmbedding(image=photos[NEW.digest][1].image, text=None)
    assert await best(catalogue, photo, NEW) == "many"
    await catalogue.delete(["many"])
    stats = await catalogue.stats(NEW.digest)
    assert stats.photo_count == stats.image_count
    await catalogue.close()


async def test_the_only_vectors_of_products_are_not_dropped(open_catalogue: OpenCatalogue) -> None:
    catalogue = open_catalogue()
    await fill(catalogue, np.random.default_rng(6), 3)
    await catalogue.use_encoder(NEW)  # the operator has put it in the place of the other
    with pytest.raises(EncoderConflictError, match=r"3 products .* are all there is of them"):
        await catalogue.encoders.drop(CONTRACT.digest)
    assert catalogue.encoders.count_vectors() == {CONTRACT.digest: 3}
    await catalogue.close()


async def test_a_third_encoder_waits_until_one_is_dropped(open_catalogue: OpenCatalogue) -> None:
    catalogue = open_catalogue()
    await fill(catalogue, np.random.default_rng(6), 2)
    await catalogue.encoders.keep(NEW.digest)
    third = make_contract("third", 3).digest
    with pytest.raises(EncoderConflictError, match="drop"):
        await catalogue.encoders.keep(third)
    assert await catalogue.encoders.drop(NEW.digest) == 0
    await catalogue.encoders.keep(third)
    assert catalogue.encoders.kept == {CONTRACT.digest, third}
    await catalogue.close()


@pytest.mark.parametrize("kept", [CONTRACT, make_contract("third", 3)])
async def test_an_encoder_in_the_place_of_one_that_was_kept_can_be_reindexed(
    open_catalogue: OpenCatalogue, kept: EncoderContract
) -> None:
    rng = np.random.default_rng(9)
    catalogue = open_catalogue()
    await fill(catalogue, rng, 3)
    await catalogue.encoders.keep(kept.digest)
    await catalogue.use_encoder(NEW)  # the operator has put it in the place of the first
    for product_id, embedding in (await reindex(catalogue, rng)).items():
        assert await best(catalogue, embedding, NEW) == product_id
    assert catalogue.encoders.kept == {NEW.digest}
    assert catalogue.encoders.count_missing(NEW.digest) == 0
    assert await catalogue.encoders.drop(CONTRACT.digest) == 3
    assert catalogue.encoders.count_vectors() == {NEW.digest: 3}
    await catalogue.close()


async def test_who_serves_is_not_taken_back_by_a_look_that_began_before_the_switch(
    open_catalogue: OpenCatalogue,
) -> None:
    rng = np.random.default_rng(7)
    catalogue = open_catalogue()
    await fill(catalogue, rng, 3)
    await reindex(catalogue, rng)
    looking = asyncio.ensure_future(catalogue.use_encoder(CONTRACT))
    await asyncio.gather(looking, catalogue.encoders.switch(NEW))
    assert catalogue.encoders.current == NEW.digest
    await catalogue.use_encoder(CONTRACT, instead_of=CONTRACT.digest)
    assert catalogue.encoders.current == NEW.digest
    await catalogue.use_encoder(CONTRACT)  # the operator has put it in the place of the other
    assert catalogue.encoders.current == CONTRACT.digest
    await catalogue.close()
