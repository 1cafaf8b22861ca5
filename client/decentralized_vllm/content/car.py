"""CAR v1 files: a header with roots, then blocks, each behind its length and CID."""

from collections.abc import AsyncIterator

from decentralized_vllm.content.budget import MAX_BLOCK_BYTES
from decentralized_vllm.content.cid import ParsedCid, parse_cid_bytes
from decentralized_vllm.content.dag_builder import FileBuilder
from decentralized_vllm.content.profiles import V1, ImportProfile
from decentralized_vllm.content.wire import decode_varint, encode_varint
from decentralized_vllm.protocol.errors import ContentMalformed, ContentTooLarge, InvalidCid

# dag-cbor of {"roots": [CID…], "version": 1}, in its one canonical order.
_MAP_OF_TWO_ROOTS = b"\xa2\x65roots"
_VERSION_1 = b"\x67version\x01"
_CID_TAG = b"\xd8\x2a\x58"  # tag 42, then a byte string with a length byte
_MAX_HEADER_BYTES = 64 * 1024
_MAX_VARINT_BYTES = 10


def encode_header(root: ParsedCid) -> bytes:
    cid = b"\x00" + root.to_bytes()
    header = b"".join((_MAP_OF_TWO_ROOTS, b"\x81", _CID_TAG, bytes([len(cid)]), cid, _VERSION_1))
    return encode_varint(len(header)) + header


def encode_block(cid: ParsedCid, block: bytes) -> bytes:
    name = cid.to_bytes()
    return b"".join((encode_varint(len(name) + len(block)), name, block))


def encode_file(data: bytes, profile: ImportProfile = V1) -> bytes:
    """A whole file's DAG, parents first. For small files: it does not yield to anybody."""
    blocks: list[bytes] = []

    def note(cid: ParsedCid, block: bytes | memoryview) -> None:
        blocks.append(encode_block(cid, bytes(block)))

    builder = FileBuilder(profile, note)
    builder.feed(data)
    root = builder.finish().cid
    return b"".join((encode_header(root), *reversed(blocks)))  # a parent is made after its children


class CarReader:
    """Reads a CAR as it arrives. Call `roots` first, then iterate `blocks`.

    The blocks are not verified here: the CID beside a block is only the sender's word.
    """

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = bytearray()

    async def roots(self) -> list[ParsedCid]:
        """Raises ContentMalformed."""
        header = await self._section(_MAX_HEADER_BYTES)
        if header is None:
            raise ContentMalformed("an empty CAR")
        return _decode_header(header)

    async def blocks(self) -> AsyncIterator[tuple[ParsedCid, bytes]]:
        """Raises ContentMalformed, ContentTooLarge (one block)."""
        while (section := await self._section(MAX_BLOCK_BYTES + 64)) is not None:
            size = 34 if section.startswith(b"\x12\x20") else 36
            yield _parse(section[:size]), section[size:]

    async def _section(self, max_bytes: int) -> bytes | None:
        size = await self._length()
        if size is None:
            return None
        if size > max_bytes:
            raise ContentTooLarge(f"a section of {size} bytes in a CAR is over {max_bytes}")
        return await self._take(size)

    async def _length(self) -> int | None:
        for count in range(1, _MAX_VARINT_BYTES + 1):
            if not await self._fill(count):
                if self._buffer:
                    raise ContentMalformed("the CAR is cut off")
                return None
            if self._buffer[count - 1] < 0x80:
                return decode_varint(await self._take(count), 0)[0]
        raise ContentMalformed("a length in the CAR is too long")

    async def _take(self, size: int) -> bytes:
        if not await self._fill(size):
            raise ContentMalformed("the CAR is cut off")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _fill(self, size: int) -> bool:
        while len(self._buffer) < size:
            piece = await anext(self._pieces, None)
            if piece is None:
                return False
            self._buffer += piece
        return True


def _decode_header(header: bytes) -> list[ParsedCid]:
    body = header.removeprefix(_MAP_OF_TWO_ROOTS).removesuffix(_VERSION_1)
    if len(body) + len(_MAP_OF_TWO_ROOTS) + len(_VERSION_1) != len(header) or not body:
        raise ContentMalformed("not a CAR of version 1")
    count, offset = body[0] - 0x80, 1
    if not 0 <= count <= 23:
        raise ContentMalformed("a CAR with more than 23 roots")
    roots = []
    for _ in range(count):
        head = body[offset : offset + len(_CID_TAG) + 2]
        if head[:3] != _CID_TAG or len(head) != 5 or head[4] != 0:
            raise ContentMalformed("a root of the CAR is not a CID")
        offset += 4
        roots.append(_parse(body[offset + 1 : offset + head[3]]))
        offset += head[3]
    return roots


def _parse(name: bytes) -> ParsedCid:
    try:
        return parse_cid_bytes(name)
    except InvalidCid as error:
        raise ContentMalformed(f"a block in the CAR is of an unsupported kind: {error}") from error
