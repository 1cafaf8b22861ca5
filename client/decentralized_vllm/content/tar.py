"""A tree as a tar stream."""

import tarfile
from collections.abc import AsyncIterator

from decentralized_vllm.content.cid import ParsedCid
from decentralized_vllm.content.nodes import DirectoryNode
from decentralized_vllm.content.reads import ContentReads

_BLOCK = tarfile.BLOCKSIZE


async def tar_pieces(reads: ContentReads, root: ParsedCid, name: str) -> AsyncIterator[bytes]:
    """The whole archive, with `name` as its one top entry."""
    pending = [(root, name)]
    while pending:
        cid, path = pending.pop()
        node = await reads.load(cid)
        if isinstance(node, DirectoryNode):
            yield _head(path, tarfile.DIRTYPE, 0, mode=0o755)
            children = [(entry.cid, f"{path}/{entry.name}") for entry in node.entries]
            pending.extend(reversed(children))
            continue
        yield _head(path, tarfile.REGTYPE, node.file_bytes, mode=0o644)
        async for piece in reads.stream(cid.text()):
            yield piece
        yield b"\0" * (-node.file_bytes % _BLOCK)
    yield b"\0" * (2 * _BLOCK)


def _head(path: str, kind: bytes, size: int, *, mode: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.type, info.size, info.mode = kind, size, mode
    return info.tobuf(tarfile.PAX_FORMAT)
