"""The configuration: every field is a flag and a variable, and every range is checked."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from twinshelf.server.command_line import build_parser, environment_name, option_name
from twinshelf.server.config import ServerConfig, read_config


def test_every_field_has_documentation_a_flag_and_a_variable() -> None:
    text = " ".join(build_parser(ServerConfig, "x", has_environment=True).format_help().split())
    for option in fields(ServerConfig):
        assert re.search(
            rf"{option_name(option.name)}\b.*\. \[{environment_name(option.name)}\]", text
        )


def test_defaults_are_valid() -> None:
    assert read_config([], {}) == ServerConfig()


def test_a_flag_wins_over_its_variable_and_that_over_the_default() -> None:
    environment = {"TWINSHELF_TRITON": "triton:1", "TWINSHELF_ADDRESS": "host:2", "OTHER": "x"}
    config = read_config(["--triton", "triton:3"], environment)
    assert config.triton == "triton:3"
    assert config.address == "host:2"
    assert config.version == 0


def test_an_ipv6_host_stands_in_brackets() -> None:
    assert read_config(["--address=[::1]:50051"], {}).address == "[::1]:50051"


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
        ("address", "localhost"),
        ("address", "::1:50051"),
        ("address", "::1"),
        ("triton", "localhost:port"),
        ("other_triton", "localhost"),
        ("metrics_address", ":50052"),
        ("metrics_address", "127.0.0.1:65536"),
        ("address", "127.0.0.1:65536"),
        ("other_version", 2),
        ("shadow_share", 1.5),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        ServerConfig(**{name: value})


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--unknown=1"], {}, "unrecognized arguments: --unknown=1"),
        (["--tri=host:1"], {}, "unrecognized arguments: --tri=host:1"),
        (["--match-count-limit=many"], {}, "--match-count-limit must be int, got many"),
        (["--tls-key=k"], {}, "--tls-cert and --tls-key must be given together"),
        (["--match-count-limit=0"], {}, "--match-count-limit must be 1 to 100000, got 0"),
        (["--encoder=torch"], {}, "--encoder must be Literal['triton', 'local'], got torch"),
        ([], {"TWINSHELF_READER_COUNT": "many"}, "TWINSHELF_READER_COUNT must be int, got many"),
        ([], {"TWINSHELF_INSECURE": "so"}, "TWINSHELF_INSECURE must be true or false, got so"),
    ],
)
def test_a_wrong_value_ends_with_a_sentence(
    arguments: list[str],
    environment: dict[str, str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        read_config(arguments, environment)
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"error: {sentence}; --help lists the options\n"


def test_a_yes_or_no_is_read_in_each_usual_form() -> None:
    assert not read_config(["--no-reflection"], {}).reflection
    assert read_config(["--insecure"], {"TWINSHELF_REFLECTION": ""}).reflection
    for text, value in {"1": True, "true": True, "yes": True, "0": False, "false": False}.items():
        assert read_config([], {"TWINSHELF_INSECURE": text}).insecure is value
