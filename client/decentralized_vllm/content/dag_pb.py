"""dag-pb nodes: named links and data, as IPFS encodes them (links first, then data)."""

from dataclasses import dataclass

from decentralized_vllm.content.cid import ParsedCid, parse_cid_bytes
from decentralized_vllm.content.wire import (
    as_bytes,
    as_int,
    bytes_field,
    bytes_field_head,
    read_fields,
    varint_field,
)
from decentralized_vllm.protocol.errors import ContentMalformed, InvalidCid

_NODE_DATA, _NODE_LINK = 1, 2
_LINK_HASH, _LINK_NAME, _LINK_TSIZE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class PbLink:
    cid: ParsedCid
    name: str
    tree_bytes: int  # size of the whole DAG below, blocks included; the writer's claim


@dataclass(frozen=True, slots=True)
class PbNode:
    links: tuple[PbLink, ...]
    data: bytes


def encode_node(node: PbNode) -> bytes:
    links = [bytes_field(_NODE_LINK, _encode_link(link)) for link in node.links]
    return b"".join((*links, bytes_field(_NODE_DATA, node.data)))


def encode_data_node(*pieces: bytes | memoryview) -> bytes:
    """A node without links, its data joined from pieces with one copy."""
    return b"".join((bytes_field_head(_NODE_DATA, sum(map(len, pieces))), *pieces))


def decode_node(block: bytes) -> PbNode:
    """Raises ContentMalformed."""
    links: list[PbLink] = []
    data: bytes | None = None
    for number, value in read_fields(block):
        if number == _NODE_LINK:
            links.append(_decode_link(as_bytes(value)))
        elif number == _NODE_DATA and data is None:
            data = as_bytes(value)
        else:
            raise ContentMalformed(f"a dag-pb node has no second or unknown field {number}")
    return PbNode(tuple(links), data if data is not None else b"")


def _encode_link(link: PbLink) -> bytes:
    return b"".join(
        (
            bytes_field(_LINK_HASH, link.cid.to_bytes()),
            bytes_field(_LINK_NAME, link.name.encode()),
            varint_field(_LINK_TSIZE, link.tree_bytes),
        )
    )


def _decode_link(message: bytes) -> PbLink:
    fields: dict[int, int | bytes] = {}
    for number, value in read_fields(message):
        if number not in (_LINK_HASH, _LINK_NAME, _LINK_TSIZE) or number in fields:
            raise ContentMalformed(f"a dag-pb link has no second or unknown field {number}")
        fields[number] = value
    if _LINK_HASH not in fields:
        raise ContentMalformed("a dag-pb link has no CID")
    try:
        cid = parse_cid_bytes(as_bytes(fields[_LINK_HASH]))
        name = as_bytes(fields.get(_LINK_NAME, b"")).decode()
    except InvalidCid as error:
        raise ContentMalformed(f"a dag-pb link is of an unsupported kind: {error}") from error
    except UnicodeDecodeError as error:
        raise ContentMalformed("a dag-pb link's name is not UTF-8") from error
    return PbLink(cid, name, as_int(fields.get(_LINK_TSIZE, 0)))
