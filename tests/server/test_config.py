"""The configuration: every field is a flag and a variable, and every range is checked."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from server.config import (
    ServerConfig,
    build_parser,
    config_from_process,
    environment_name,
    read_config,
)


def test_every_field_has_documentation_a_flag_and_a_variable() -> None:
    text = " ".join(build_parser().format_help().split())
    for option in fields(ServerConfig):
        assert option.metadata["doc"]
        assert "--" + option.name.replace("_", "-") in text
        assert f"[{environment_name(option.name)};" in text


def test_defaults_are_valid() -> None:
    assert read_config([], {}) == ServerConfig()


def test_a_flag_wins_over_its_variable_and_that_over_the_default() -> None:
    environment = {"TWINSHELF_TRITON": "triton:1", "TWINSHELF_ADDRESS": "host:2", "OTHER": "x"}
    config = read_config(["--triton", "triton:3"], environment)
    assert config.triton == "triton:3"
    assert config.address == "host:2"
    assert config.version == 0


def test_values_are_read_by_the_type_of_the_field() -> None:
    config = read_config(
        ["--catalogue=here", "--encode-timeout-s=2.5"], {"TWINSHELF_IN_FLIGHT_LIMIT": "7"}
    )
    assert (config.catalogue, config.encode_timeout_s) == (Path("here"), 2.5)
    assert config.in_flight_limit == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("match_count_limit", 0),
        ("image_limit_bytes", -1),
        ("encode_timeout_s", float("nan")),
        ("encode_timeout_s", 1e9),
        ("reader_count", 1000),
        ("version", -1),
        ("encoder", "torch"),
        ("log_level", "loud"),
        ("address", "localhost"),
        ("triton", "localhost:port"),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        ServerConfig(**{name: value})


@pytest.mark.parametrize(
    "arguments",
    [["--unknown=1"], ["--match-count-limit=many"], ["--match-count-limit=0"], ["--tri=host:1"]],
)
def test_a_wrong_command_line_ends_with_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        config_from_process(arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_variable_of_the_wrong_type_is_named() -> None:
    with pytest.raises(ValueError, match="TWINSHELF_READER_COUNT must be a value of type int"):
        read_config([], {"TWINSHELF_READER_COUNT": "many"})
