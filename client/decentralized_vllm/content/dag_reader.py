"""Reads files, directories and paths over any source of verified blocks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from decentralized_vllm.content.budget import Budget
from decentralized_vllm.content.cid import RAW, ParsedCid
from decentralized_vllm.content.dag_pb import decode_node
from decentralized_vllm.content.nodes import DirectoryNode, FileNode, decode_block
from decentralized_vllm.protocol.errors import ContentMalformed, ContentUnavailable
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import ContentLimits

# Gives the block of a CID, already checked against it.
GetBlock = Callable[[Cid], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class _Pending:
    cid: ParsedCid
    depth: int
    file_bytes: int | None  # None for the root, whose size nobody has told yet


async def load_node(get_block: GetBlock, cid: ParsedCid) -> FileNode | DirectoryNode:
    return decode_block(cid, await get_block(cid.text()))


async def load_directory(get_block: GetBlock, cid: ParsedCid) -> DirectoryNode:
    """Raises ContentMalformed for a file."""
    node = await load_node(get_block, cid)
    if isinstance(node, FileNode):
        raise ContentMalformed(f"{cid.text()} is a file, not a directory")
    return node


async def resolve_path(get_block: GetBlock, root: ParsedCid, names: Sequence[str]) -> ParsedCid:
    """Follows names from a directory. Raises ContentUnavailable (no such entry)."""
    cid = root
    for name in names:
        entries = (await load_directory(get_block, cid)).entries
        found = next((entry.cid for entry in entries if entry.name == name), None)
        if found is None:
            raise ContentUnavailable(f"{cid.text()} has no entry named {name!r}")
        cid = found
    return cid


async def stream_file(
    get_block: GetBlock,
    root: ParsedCid,
    *,
    limits: ContentLimits,
    offset: int = 0,
    length: int | None = None,
) -> AsyncIterator[bytes]:
    """The file's bytes in order, from `offset`, `length` of them; the limits hold for these.

    Raises ContentTooLarge, ContentMalformed (a directory, parts of the wrong size).
    """
    budget = Budget(limits)
    skip, left = offset, length
    pending = [_Pending(root, 0, None)]
    while pending and left != 0:
        item = pending.pop()
        if item.file_bytes is not None and item.file_bytes <= skip:
            skip -= item.file_bytes
            continue
        budget.take_block(item.depth)
        node = await _load_part(get_block, item)
        if item.file_bytes is None and offset == 0 and length is None:
            Budget(limits).take_bytes(node.file_bytes)  # refuse before the first byte goes out
        data = node.data[skip:][:left]
        skip = max(0, skip - len(node.data))
        left = None if left is None else left - len(data)
        if data:
            budget.take_bytes(len(data))
            yield data
        parts = (_Pending(part.cid, item.depth + 1, part.file_bytes) for part in node.parts)
        pending.extend(reversed(tuple(parts)))


async def _load_part(get_block: GetBlock, item: _Pending) -> FileNode:
    node = await load_node(get_block, item.cid)
    if isinstance(node, DirectoryNode):
        raise ContentMalformed(f"{item.cid.text()} is a directory, not a file")
    if item.file_bytes not in (None, node.file_bytes):
        raise ContentMalformed(f"{item.cid.text()} has not the size that its parent tells")
    return node


async def walk_blocks(
    get_block: GetBlock, root: ParsedCid, limits: ContentLimits
) -> AsyncIterator[tuple[ParsedCid, bytes]]:
    """Every distinct block below the root once, parents first. Raises ContentTooLarge.

    A node whose bytes are also kept as a file comes as both: what is below it is below one of them.
    """
    budget = Budget(limits)
    seen: set[tuple[int, bytes]] = set()
    pending = [(root, 0)]
    while pending:
        cid, depth = pending.pop()
        if (cid.codec, cid.digest) in seen:
            continue
        seen.add((cid.codec, cid.digest))
        budget.take_block(depth)
        block = await get_block(cid.text())
        budget.take_bytes(len(block))
        yield cid, block
        if cid.codec != RAW:
            links = decode_node(block).links
            pending.extend((link.cid, depth + 1) for link in reversed(links))
