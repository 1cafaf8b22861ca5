"""Varints and protobuf fields, as much as dag-pb and UnixFS need."""

from collections.abc import Iterator

from decentralized_vllm.protocol.errors import ContentMalformed

VARINT = 0
LENGTH_DELIMITED = 2
_MAX_VARINT_BITS = 64


def encode_varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode_varint(data: bytes, offset: int) -> tuple[int, int]:
    """(number, offset behind it). Raises ContentMalformed (cut off, above 64 bits)."""
    if offset < len(data) and data[offset] < 0x80:  # nearly all of them
        return data[offset], offset + 1
    number = shift = 0
    while True:
        if offset >= len(data):
            raise ContentMalformed("a varint is cut off")
        byte = data[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift >= _MAX_VARINT_BITS:
            raise ContentMalformed("a varint is longer than 64 bits")
    if number >> _MAX_VARINT_BITS:
        raise ContentMalformed("a varint is longer than 64 bits")
    return number, offset


def varint_field(number: int, value: int) -> bytes:
    return encode_varint(number << 3 | VARINT) + encode_varint(value)


def bytes_field(number: int, value: bytes | memoryview) -> bytes:
    return b"".join((bytes_field_head(number, len(value)), value))


def bytes_field_head(number: int, size: int) -> bytes:
    """What stands before the bytes of a field, for callers that join without copying twice."""
    return encode_varint(number << 3 | LENGTH_DELIMITED) + encode_varint(size)


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) in order. Raises ContentMalformed."""
    offset = 0
    while offset < len(message):
        tag, offset = decode_varint(message, offset)
        value: int | bytes
        if tag & 7 == VARINT:
            value, offset = decode_varint(message, offset)
        elif tag & 7 == LENGTH_DELIMITED:
            size, offset = decode_varint(message, offset)
            if size > len(message) - offset:
                raise ContentMalformed("a protobuf field is cut off")
            value = message[offset : offset + size]
            offset += size
        else:
            raise ContentMalformed(f"protobuf wire type {tag & 7} has no place in dag-pb")
        yield tag >> 3, value


def as_int(value: int | bytes) -> int:
    if isinstance(value, int):
        return value
    raise ContentMalformed("a protobuf field holds bytes where a number belongs")


def as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ContentMalformed("a protobuf field holds a number where bytes belong")
