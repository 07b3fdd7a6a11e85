"""Which of two encoders serves: the one that the catalogue names, and never another by chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.fake_encoder import FakeEncoder, digest_of, make_contract
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import EncoderChangedError, EncoderUnavailableError
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders

ROW = EncoderInput(image=None, text="lamp")


class Two:
    """Two encoders before a catalogue."""

    def __init__(self, folder: Path) -> None:
        self.catalogue = SqliteCatalogue(folder, reader_count=1)
        self.first, self.second = FakeEncoder(), FakeEncoder(make_contract("second", 2))
        self.both = ServingEncoders([self.first, self.second], self.catalogue)

    async def switch(self) -> None:
        """Lets the second one serve."""
        await self.catalogue.use_encoder(self.both.contract)
        await self.catalogue.encoders.keep(self.second.current.digest)
        await self.catalogue.encoders.switch(self.second.current)


async def test_the_first_serves_until_the_catalogue_names_another(tmp_path: Path) -> None:
    two = Two(tmp_path)
    assert two.both.contract.version == 1
    assert two.both.beside() == []
    await two.switch()
    assert two.both.contract.version == 2
    assert [each.version for each in two.both.beside()] == [1]
    assert two.both.pairs is two.second.pairs
    assert two.both.pairs_of(two.first.current) is two.first.pairs
    await two.catalogue.close()


async def test_none_takes_the_place_of_the_one_that_serves_while_that_is_away(
    tmp_path: Path,
) -> None:
    two = Two(tmp_path)
    await two.switch()
    two.second.is_away = True
    with pytest.raises(EncoderUnavailableError):
        _ = two.both.contract
    with pytest.raises(EncoderUnavailableError):
        await two.both.refresh()
    two.second.is_away, two.first.is_away = False, True
    assert (await two.both.refresh()).version == 2
    assert two.both.beside() == []
    await two.catalogue.close()


async def test_the_first_serves_where_nobody_has_the_encoder_of_the_catalogue(
    tmp_path: Path,
) -> None:
    two = Two(tmp_path)
    await two.switch()
    two.second.current = make_contract("third", 3)
    assert two.both.contract.version == 1
    await two.catalogue.use_encoder(two.both.contract)
    assert two.catalogue.encoders.current == digest_of("first")
    await two.catalogue.close()


async def test_rows_go_to_the_encoder_of_their_contract_or_to_none(tmp_path: Path) -> None:
    two = Two(tmp_path)
    await two.both.encode([ROW], two.second.current)
    assert (len(two.first.texts), len(two.second.texts)) == (0, 1)
    (answer,) = await two.both.encode([ROW], make_contract("gone", 9))
    assert isinstance(answer, EncoderChangedError)
    await two.catalogue.close()
