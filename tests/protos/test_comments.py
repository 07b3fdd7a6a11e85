"""Every service, method, message, field and enum value of the protos is commented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from tests.protos.compiling import PROTO_FILES, ROOT, compile_protos

DescriptorPath = tuple[int, ...]
_FILE = descriptor_pb2.FileDescriptorProto
_MESSAGE = descriptor_pb2.DescriptorProto
_ENUM = descriptor_pb2.EnumDescriptorProto
_SERVICE = descriptor_pb2.ServiceDescriptorProto


@pytest.fixture(scope="module")
def descriptors(
    tmp_path_factory: pytest.TempPathFactory,
) -> list[descriptor_pb2.FileDescriptorProto]:
    path = tmp_path_factory.mktemp("descriptors") / "all.binpb"
    arguments = [f"--descriptor_set_out={path}", "--include_source_info"]
    compile_protos(arguments)
    descriptor_set = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    return list(descriptor_set.file)


def named_parts(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[DescriptorPath, str]]:
    """Yields the path, as source info counts it, and the name of all that needs a comment."""
    for i, service in enumerate(file.service):
        path = (_FILE.SERVICE_FIELD_NUMBER, i)
        yield path, service.name
        for j, method in enumerate(service.method):
            yield (*path, _SERVICE.METHOD_FIELD_NUMBER, j), f"{service.name}.{method.name}"
    for i, message in enumerate(file.message_type):
        yield from message_parts(message, (_FILE.MESSAGE_TYPE_FIELD_NUMBER, i), "")
    for i, enum in enumerate(file.enum_type):
        yield from enum_parts(enum, (_FILE.ENUM_TYPE_FIELD_NUMBER, i), "")


def message_parts(
    message: descriptor_pb2.DescriptorProto, path: DescriptorPath, prefix: str
) -> Iterator[tuple[DescriptorPath, str]]:
    if message.options.map_entry:  # made by the compiler
        return
    name = prefix + message.name
    yield path, name
    for i, field in enumerate(message.field):
        yield (*path, _MESSAGE.FIELD_FIELD_NUMBER, i), f"{name}.{field.name}"
    for i, oneof in enumerate(message.oneof_decl):
        if not oneof.name.startswith("_"):  # those of optional fields are made by the compiler
            yield (*path, _MESSAGE.ONEOF_DECL_FIELD_NUMBER, i), f"{name}.{oneof.name}"
    for i, nested in enumerate(message.nested_type):
        yield from message_parts(nested, (*path, _MESSAGE.NESTED_TYPE_FIELD_NUMBER, i), f"{name}.")
    for i, enum in enumerate(message.enum_type):
        yield from enum_parts(enum, (*path, _MESSAGE.ENUM_TYPE_FIELD_NUMBER, i), f"{name}.")


def enum_parts(
    enum: descriptor_pb2.EnumDescriptorProto, path: DescriptorPath, prefix: str
) -> Iterator[tuple[DescriptorPath, str]]:
    yield path, prefix + enum.name
    for i, value in enumerate(enum.value):
        yield (*path, _ENUM.VALUE_FIELD_NUMBER, i), f"{prefix}{enum.name}.{value.name}"


def bare_parts(file: descriptor_pb2.FileDescriptorProto) -> list[str]:
    comments = {
        tuple(location.path): location.leading_comments.strip()
        for location in file.source_code_info.location
    }
    return [name for path, name in named_parts(file) if not comments.get(path)]


def test_there_are_protos_to_check(
    descriptors: list[descriptor_pb2.FileDescriptorProto],
) -> None:
    assert len(descriptors) == len(PROTO_FILES) >= 3
    names = {name for file in descriptors for _, name in named_parts(file)}
    assert {"MatchingService", "Product.product_id", "UpsertProductsResponse.result"} <= names


def test_everything_is_commented(descriptors: list[descriptor_pb2.FileDescriptorProto]) -> None:
    assert [f"{file.name}: {name}" for file in descriptors for name in bare_parts(file)] == []


def test_a_bare_field_would_be_noticed(tmp_path: Path) -> None:
    source = '// A file.\nsyntax = "proto3";\n// M.\nmessage M {\n  int32 bare = 1;\n}\n'
    (tmp_path / "bare.proto").write_text(source)
    output = tmp_path / "bare.binpb"
    status = protoc.main(
        [
            "protoc",
            f"-I{tmp_path}",
            f"--descriptor_set_out={output}",
            "--include_source_info",
            "bare.proto",
        ]
    )
    assert status == 0
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file
    assert bare_parts(file) == ["M.bare"]


@pytest.mark.parametrize("path", PROTO_FILES, ids=lambda path: path.name)
def test_names_follow_the_package(path: Path) -> None:
    text = path.read_text()
    assert re.search(r"^package twinshelf\.v1;$", text, re.MULTILINE)
    assert path.parent == ROOT / "twinshelf" / "v1"


def test_enums_begin_with_unspecified_and_counts_are_signed(
    descriptors: list[descriptor_pb2.FileDescriptorProto],
) -> None:
    unsigned = {
        descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
        descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    }
    for file in descriptors:
        for enum in file.enum_type:
            assert enum.value[0].name.endswith("_UNSPECIFIED")
        for message in file.message_type:
            assert not [field.name for field in message.field if field.type in unsigned]
