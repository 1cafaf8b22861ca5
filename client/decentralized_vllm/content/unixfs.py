"""UnixFS: what the data of a dag-pb node says about files and directories."""

from dataclasses import dataclass
from enum import IntEnum

from decentralized_vllm.content.wire import (
    as_bytes,
    as_int,
    bytes_field_head,
    decode_varint,
    read_fields,
    varint_field,
)
from decentralized_vllm.protocol.errors import ContentMalformed

_TYPE, _DATA, _FILE_SIZE, _BLOCK_SIZES = 1, 2, 3, 4
_MAX_OTHER_FIELDS = 16  # there are seven; a stranger's block has room for a million
_MAX_VARINT_BYTES = 10


class EntryType(IntEnum):
    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT = 5


DIRECTORY_DATA = varint_field(_TYPE, EntryType.DIRECTORY)


@dataclass(frozen=True, slots=True)
class UnixFsEntry:
    type: EntryType
    data: bytes
    file_bytes: int
    part_bytes: tuple[int, ...]  # file bytes below each link, in order


def encode_leaf(data: bytes | memoryview) -> tuple[bytes, bytes | memoryview, bytes]:
    """One chunk of a file as UnixFS data (profile v0; raw leaves need none), in three pieces."""
    content = bytes_field_head(_DATA, len(data)) if len(data) else b""
    head = varint_field(_TYPE, EntryType.FILE) + content
    return head, data, varint_field(_FILE_SIZE, len(data))


def encode_file(part_bytes: list[int]) -> bytes:
    """A file made of parts, each under one link."""
    parts = (varint_field(_BLOCK_SIZES, size) for size in part_bytes)
    head = varint_field(_TYPE, EntryType.FILE) + varint_field(_FILE_SIZE, sum(part_bytes))
    return head + b"".join(parts)


def decode_entry(message: bytes, *, max_parts: int) -> UnixFsEntry:
    """Raises ContentMalformed, as soon as there are more parts than links or too many fields.

    Fields beyond the first four (mode, time, HAMT) are skipped.
    """
    kind, data, file_bytes, parts = None, b"", None, list[int]()
    for place, (number, value) in enumerate(read_fields(message)):
        if place - len(parts) >= _MAX_OTHER_FIELDS or len(parts) > max_parts:
            raise ContentMalformed("UnixFS data of more sizes than links, or of too many fields")
        if number == _TYPE:
            kind = _entry_type(as_int(value))
        elif number == _DATA:
            data = as_bytes(value)
        elif number == _FILE_SIZE:
            file_bytes = as_int(value)
        elif number == _BLOCK_SIZES:
            parts.extend([value] if isinstance(value, int) else _packed(value, max_parts))
    if kind is None:
        raise ContentMalformed("UnixFS data without a type")
    size = file_bytes if file_bytes is not None else len(data) + sum(parts)
    return UnixFsEntry(kind, data, size, tuple(parts))


def _entry_type(number: int) -> EntryType:
    try:
        return EntryType(number)
    except ValueError as error:
        raise ContentMalformed(f"UnixFS type {number} is unknown") from error


def _packed(message: bytes, max_parts: int) -> list[int]:
    if len(message) > max_parts * _MAX_VARINT_BYTES:
        raise ContentMalformed("UnixFS data of more sizes than links")
    numbers, offset = [], 0
    while offset < len(message):
        number, offset = decode_varint(message, offset)
        numbers.append(number)
    return numbers
