"""Builds the balanced DAG of a file from a stream, and directories from their entries. Pure.

Memory stays at one chunk and at most `max_links` links per level, however long the file is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from decentralized_vllm.content.cid import DAG_PB, RAW, ParsedCid, hash_block
from decentralized_vllm.content.dag_pb import PbLink, PbNode, encode_data_node, encode_node
from decentralized_vllm.content.names import check_name
from decentralized_vllm.content.profiles import ImportProfile
from decentralized_vllm.content.unixfs import DIRECTORY_DATA, encode_file, encode_leaf

# Takes each block as it is made. The view is only valid during the call.
BlockSink = Callable[[ParsedCid, bytes | memoryview], None]


def discard_block(cid: ParsedCid, block: bytes | memoryview) -> None:
    """A sink for when only the CID is asked for."""


@dataclass(frozen=True, slots=True)
class DagNode:
    """A stored node: what a parent has to know about it."""

    cid: ParsedCid
    file_bytes: int
    tree_bytes: int  # blocks of the whole DAG below, this one included


class FileBuilder:
    """Feed a file's bytes in order, then call `finish` once."""

    def __init__(self, profile: ImportProfile, sink: BlockSink) -> None:
        self._profile = profile
        self._sink = sink
        self._rest = bytearray()  # less than a chunk
        self._levels: list[list[DagNode]] = [[]]

    def feed(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        chunk = self._profile.chunk_bytes
        if self._rest:
            missing = chunk - len(self._rest)
            self._rest += view[:missing]
            view = view[missing:]
            if len(self._rest) == chunk:
                self._add_leaf(memoryview(bytes(self._rest)))
                self._rest.clear()
        whole = len(view) - len(view) % chunk
        for start in range(0, whole, chunk):
            self._add_leaf(view[start : start + chunk])
        self._rest += view[whole:]

    def finish(self) -> DagNode:
        if self._rest or not any(self._levels):
            self._add_leaf(memoryview(bytes(self._rest)))
        height = 0
        while height < len(self._levels) - 1 or len(self._levels[height]) > 1:
            self._fold(height)  # never empty: a full level is folded only for one more node
            height += 1
        return self._levels[height][0]

    def _add_leaf(self, data: memoryview) -> None:
        if self._profile.raw_leaves:
            cid = hash_block(data, version=1, codec=RAW)
            self._sink(cid, data)
            self._push(0, DagNode(cid, len(data), len(data)))
        else:
            block = encode_data_node(*encode_leaf(data))
            self._push(0, self._store(block, len(data), len(block)))

    def _push(self, height: int, node: DagNode) -> None:
        # Folded only when one more comes: a level that is exactly full may be the last but one.
        if len(self._levels[height]) == self._profile.max_links:
            self._fold(height)
        self._levels[height].append(node)

    def _fold(self, height: int) -> None:
        parts = self._levels[height]
        if height + 1 == len(self._levels):
            self._levels.append([])
        links = tuple(PbLink(part.cid, "", part.tree_bytes) for part in parts)
        sizes = [part.file_bytes for part in parts]
        block = encode_node(PbNode(links, encode_file(sizes)))
        tree_bytes = len(block) + sum(part.tree_bytes for part in parts)
        self._levels[height] = []
        self._push(height + 1, self._store(block, sum(sizes), tree_bytes))

    def _store(self, block: bytes, file_bytes: int, tree_bytes: int) -> DagNode:
        cid = hash_block(block, version=self._profile.cid_version, codec=DAG_PB)
        self._sink(cid, block)
        return DagNode(cid, file_bytes, tree_bytes)


def build_directory(
    entries: Mapping[str, DagNode], profile: ImportProfile, sink: BlockSink
) -> DagNode:
    """A directory of named nodes, sorted by the bytes of their names. Raises ContentMalformed."""
    for name in entries:
        check_name(name)
    names = sorted(entries, key=str.encode)
    links = tuple(PbLink(entries[name].cid, name, entries[name].tree_bytes) for name in names)
    block = encode_node(PbNode(links, DIRECTORY_DATA))
    cid = hash_block(block, version=profile.cid_version, codec=DAG_PB)
    sink(cid, block)
    nodes = entries.values()
    tree_bytes = len(block) + sum(node.tree_bytes for node in nodes)
    return DagNode(cid, sum(node.file_bytes for node in nodes), tree_bytes)
