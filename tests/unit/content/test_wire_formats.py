"""Bytes on the wire: varints, protobuf, UnixFS, CAR."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.content.car import CarReader, encode_block, encode_header
from decentralized_vllm.content.cid import DAG_PB, RAW, ParsedCid, hash_block
from decentralized_vllm.content.dag_builder import FileBuilder, discard_block
from decentralized_vllm.content.dag_pb import decode_node
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.profiles import ImportProfile, profile_named
from decentralized_vllm.content.unixfs import EntryType, decode_entry
from decentralized_vllm.content.wire import bytes_field, decode_varint, varint_field
from decentralized_vllm.protocol.errors import ContentMalformed, ContentTooLarge, SettingError

CID = hash_block(b"x", version=1, codec=RAW)
LINK = bytes_field(1, CID.to_bytes())


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 10 + b"\x01", b"\xff" * 9 + b"\x7f"])
def test_decode_varint__cut_off_or_over_64_bits__is_malformed(data: bytes) -> None:
    with pytest.raises(ContentMalformed):
        decode_varint(data, 0)


@pytest.mark.parametrize(
    "block",
    [
        b"\x0a\x05abc",  # longer than what is there
        b"\x0d\x00\x00\x00\x00",  # a fixed32
        varint_field(1, 7),  # data that is a number
        bytes_field(1, b"a") * 2,  # data twice
        bytes_field(7, b"a"),
        bytes_field(2, b""),  # a link without a CID
        bytes_field(2, LINK + LINK),
        bytes_field(2, LINK + bytes_field(2, b"\xff")),  # a name that is not UTF-8
        bytes_field(2, LINK + bytes_field(3, b"1")),  # a size that is bytes
        bytes_field(2, bytes_field(1, b"\x01\x71" + CID.multihash)),  # dag-cbor
        bytes_field(2, bytes_field(1, b"\x01\x55\x00\x01x")),  # an identity hash
    ],
)
def test_decode_node__not_a_node__is_malformed(block: bytes) -> None:
    with pytest.raises(ContentMalformed):
        decode_node(block)


def test_decode_entry__packed_sizes__are_read_too() -> None:
    packed = varint_field(1, EntryType.FILE) + bytes_field(4, b"\x05\x80\x01")
    assert decode_entry(packed, max_parts=2).part_bytes == (5, 128)
    assert decode_entry(packed, max_parts=2).file_bytes == 133


@pytest.mark.parametrize("message", [b"", varint_field(3, 4), varint_field(1, 99)])
def test_decode_entry__no_known_type__is_malformed(message: bytes) -> None:
    with pytest.raises(ContentMalformed):
        decode_entry(message, max_parts=0)


@pytest.mark.parametrize("raw_leaves", [True, False])
@pytest.mark.parametrize("n_bytes", [0, 3, 4, 5, 16, 17, 64, 65, 100])
def test_feed__byte_by_byte__is_the_same_file(n_bytes: int, raw_leaves: bool) -> None:
    profile = ImportProfile("tiny", 1, raw_leaves, chunk_bytes=4, max_links=4)
    data = bytes(range(n_bytes))
    builder = FileBuilder(profile, discard_block)
    for byte in data:
        builder.feed(bytes([byte]))
    assert builder.finish().cid.text() == cid_of_bytes(data, profile)


def test_profile_named__unknown__tells_the_known() -> None:
    with pytest.raises(SettingError, match="v0, v1, v1-2025"):
        profile_named("v2")


async def in_pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


blocks = st.builds(
    lambda version, block: (
        hash_block(block, version=version, codec=RAW if version else DAG_PB),
        block,
    ),
    st.sampled_from([0, 1]),
    st.binary(max_size=200),
)


@given(st.lists(blocks, max_size=5), st.integers(1, 50))
async def test_car__any_blocks_in_any_pieces__round_trip(
    some: list[tuple[ParsedCid, bytes]], size: int
) -> None:
    car = encode_header(CID) + b"".join(encode_block(*item) for item in some)
    reader = CarReader(in_pieces(car, size))
    assert await reader.roots() == [CID]
    assert [item async for item in reader.blocks()] == some


HEADER = encode_header(CID)


@pytest.mark.parametrize(
    ("car", "error"),
    [
        (b"", ContentMalformed),
        (HEADER[:-1], ContentMalformed),
        (b"\x80", ContentMalformed),
        (b"\xff" * 11, ContentMalformed),
        (b"\x05hello", ContentMalformed),
        (HEADER.replace(b"version\x01", b"version\x02"), ContentMalformed),
        (HEADER.replace(b"\xd8\x2a", b"\xd8\x2b"), ContentMalformed),
        (HEADER.replace(b"\x01\x55", b"\x01\x71"), ContentMalformed),
        (HEADER.replace(b"\x81\xd8", b"\xbf\xd8"), ContentMalformed),
        (HEADER + b"\x26" + CID.to_bytes(), ContentMalformed),
        (HEADER + b"\x05abcde", ContentMalformed),
        (HEADER + b"\xff\xff\xff\x7f", ContentTooLarge),
        (b"\xff\xff\xff\x7f", ContentTooLarge),
    ],
)
async def test_car__broken__is_a_typed_error(car: bytes, error: type[Exception]) -> None:
    reader = CarReader(in_pieces(car, 7))
    with pytest.raises(error):
        await reader.roots()
        assert [item async for item in reader.blocks()] == []


@given(st.binary(max_size=120))
async def test_car__any_bytes__end_in_a_typed_error(data: bytes) -> None:
    reader = CarReader(in_pieces(data, 16))
    with pytest.raises((ContentMalformed, ContentTooLarge)):
        await reader.roots()
