"""Which blocks a pinned tree is made of; only its inner nodes are read."""

from collections.abc import Callable, Iterator

from decentralized_vllm.content.cid import RAW, ParsedCid
from decentralized_vllm.content.dag_pb import decode_node


def reachable_blocks(
    root: ParsedCid, read_block: Callable[[ParsedCid], bytes], seen: set[bytes]
) -> Iterator[ParsedCid]:
    """Blocks below the root, itself included, whose multihash is not in `seen`; adds them to it."""
    pending = [root]
    while pending:
        cid = pending.pop()
        if cid.multihash in seen:
            continue
        seen.add(cid.multihash)
        yield cid
        if cid.codec != RAW:
            pending.extend(link.cid for link in decode_node(read_block(cid)).links)
