"""What one verified block is: (part of) a file, or a directory. Everything else is refused here."""

from dataclasses import dataclass

from decentralized_vllm.content.cid import RAW, ParsedCid
from decentralized_vllm.content.dag_pb import PbLink, PbNode, decode_node
from decentralized_vllm.content.names import check_name
from decentralized_vllm.content.unixfs import EntryType, UnixFsEntry, decode_entry
from decentralized_vllm.protocol.errors import ContentMalformed


@dataclass(frozen=True, slots=True)
class FilePart:
    cid: ParsedCid
    file_bytes: int  # what the parent says; the part must agree


@dataclass(frozen=True, slots=True)
class FileNode:
    """`data` comes first, then the parts in order; together `file_bytes`."""

    data: bytes
    parts: tuple[FilePart, ...]
    file_bytes: int


@dataclass(frozen=True, slots=True)
class DirectoryNode:
    """Entries with checked, distinct names."""

    entries: tuple[PbLink, ...]


def decode_block(cid: ParsedCid, block: bytes) -> FileNode | DirectoryNode:
    """Raises ContentMalformed: lying sizes, hostile names, symlinks, sharded directories."""
    if cid.codec == RAW:
        return FileNode(block, (), len(block))
    node = decode_node(block)
    entry = decode_entry(node.data, max_parts=len(node.links))
    if entry.type in (EntryType.FILE, EntryType.RAW):
        return _file_node(node, entry)
    if entry.type is EntryType.DIRECTORY:
        return _directory_node(node)
    raise ContentMalformed(f"UnixFS entries of type {entry.type.name} are not supported")


def _file_node(node: PbNode, entry: UnixFsEntry) -> FileNode:
    if len(node.links) != len(entry.part_bytes):
        raise ContentMalformed("a file has not one size for each of its parts")
    if len(entry.data) + sum(entry.part_bytes) != entry.file_bytes:
        raise ContentMalformed("a file's size is not the sum of its parts")
    links = zip(node.links, entry.part_bytes, strict=True)
    parts = tuple(FilePart(link.cid, size) for link, size in links)
    return FileNode(entry.data, parts, entry.file_bytes)


def _directory_node(node: PbNode) -> DirectoryNode:
    seen: set[str] = set()
    for link in node.links:
        check_name(link.name)
        if link.name in seen:
            raise ContentMalformed(f"a directory has two entries named {link.name!r}")
        seen.add(link.name)
    return DirectoryNode(node.links)
