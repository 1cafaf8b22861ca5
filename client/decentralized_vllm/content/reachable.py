"""Which blocks a pinned tree is made of; only its inner nodes are read."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from decentralized_vllm.content.cid import RAW, ParsedCid
from decentralized_vllm.content.dag_pb import decode_node

Block: TypeAlias = tuple[int, bytes]
"""Codec and multihash: the same bytes may stand in trees as a node and as a file, which has nothing
below it."""


def reachable_blocks(
    root: ParsedCid, read_block: Callable[[ParsedCid], bytes], seen: set[Block]
) -> Iterator[ParsedCid]:
    """Blocks below the root, itself included, that are not in `seen`; adds them to it."""
    pending = [root]
    while pending:
        cid = pending.pop()
        block = (cid.codec, cid.multihash)
        if block in seen:
            continue
        seen.add(block)
        yield cid
        if cid.codec != RAW:
            pending.extend(link.cid for link in decode_node(read_block(cid)).links)
