"""DAGs that nobody honest would build: all of them end in a typed error and write nothing."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.content import unixfs, wire
from decentralized_vllm.content.cid import DAG_PB, RAW, ParsedCid, hash_block
from decentralized_vllm.content.dag_builder import FileBuilder, discard_block
from decentralized_vllm.content.dag_pb import PbLink, PbNode, decode_node, encode_node
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.nodes import FileNode, decode_block
from decentralized_vllm.content.profiles import ImportProfile
from decentralized_vllm.content.unixfs import DIRECTORY_DATA, EntryType, encode_file
from decentralized_vllm.content.wire import bytes_field, decode_varint, encode_varint, varint_field
from decentralized_vllm.protocol.errors import ContentError, ContentMalformed, ContentTooLarge
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import ContentLimits
from tests.support.trees import contents

LIMITS = ContentLimits(max_bytes=1_000_000, max_blocks=1000, max_depth=8, max_files=100)


async def put(store: MemoryStore, block: bytes, codec: int = DAG_PB) -> ParsedCid:
    cid = hash_block(block, version=1, codec=codec)
    await store.put_block(cid.text(), block)
    return cid


async def put_node(store: MemoryStore, data: bytes, *links: tuple[str, ParsedCid]) -> ParsedCid:
    node = PbNode(tuple(PbLink(cid, name, 0) for name, cid in links), data)
    return await put(store, encode_node(node))


async def refused(store: MemoryStore, root: ParsedCid, folder: Path) -> ContentError:
    with pytest.raises(ContentError) as caught:
        await store.fetch_tree(root.text(), folder / "out" / "target", limits=LIMITS)
    assert "target" not in contents(folder / "out")
    assert set(contents(folder)) == {f"out/{name}" for name in contents(folder / "out")} | {"out"}
    return caught.value


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "../../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "a\nb", "C:\\x", "x" * 256],
)
async def test_fetch_tree__hostile_name__is_refused(tmp_path: Path, name: str) -> None:
    store = MemoryStore()
    file = await put(store, b"x", RAW)
    root = await put_node(store, DIRECTORY_DATA, (name, file))
    assert isinstance(await refused(store, root, tmp_path), ContentMalformed)


@pytest.mark.parametrize("names", [("a", "a"), ("a", "A"), ("é", "e\u0301")])
async def test_fetch_tree__names_that_become_one_file__are_refused(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    store = MemoryStore()
    file = await put(store, b"x", RAW)
    root = await put_node(store, DIRECTORY_DATA, *((name, file) for name in names))
    assert isinstance(await refused(store, root, tmp_path), ContentMalformed)


@pytest.mark.parametrize("kind", [EntryType.SYMLINK, EntryType.HAMT, EntryType.METADATA])
async def test_fetch_tree__unsupported_entry__is_named(tmp_path: Path, kind: EntryType) -> None:
    store = MemoryStore()
    entry = await put_node(store, varint_field(1, kind) + bytes_field(2, b"/etc/passwd"))
    root = await put_node(store, DIRECTORY_DATA, ("link", entry))
    assert kind.name in (await refused(store, root, tmp_path)).message


async def test_fetch_tree__symlink_as_part_of_a_file__is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    link = await put_node(store, varint_field(1, EntryType.SYMLINK) + bytes_field(2, b"/etc"))
    root = await put_node(store, encode_file([4]), ("", link))
    assert isinstance(await refused(store, root, tmp_path), ContentMalformed)


async def test_fetch_tree__directory_inside_a_file__is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    folder = await put_node(store, DIRECTORY_DATA)
    root = await put_node(store, encode_file([0]), ("", folder))
    assert isinstance(await refused(store, root, tmp_path), ContentMalformed)


async def test_fetch_tree__part_smaller_than_its_parent_says__is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    part = await put(store, b"four", RAW)
    root = await put_node(store, encode_file([5]), ("", part))
    assert isinstance(await refused(store, root, tmp_path), ContentMalformed)
    with pytest.raises(ContentMalformed):
        await store.read_bytes(root.text(), max_bytes=100)


async def test_fetch_tree__sum_that_lies__is_refused(tmp_path: Path) -> None:
    store = MemoryStore()
    part = await put(store, b"four", RAW)
    lie = varint_field(1, EntryType.FILE) + varint_field(3, 2**40) + varint_field(4, 4)
    root = await put_node(store, lie, ("", part))
    assert isinstance(await refused(store, root, tmp_path), ContentMalformed)


async def doubling_file(store: MemoryStore, levels: int, leaf: bytes) -> ParsedCid:
    """2**levels copies of the leaf from levels + 1 blocks."""
    cid, size = await put(store, leaf, RAW), len(leaf)
    for _ in range(levels):
        cid = await put_node(store, encode_file([size, size]), ("", cid), ("", cid))
        size *= 2
    return cid


async def test_fetch_tree__small_dag_of_a_huge_file__is_too_large_at_once(tmp_path: Path) -> None:
    store = MemoryStore()
    root = await doubling_file(store, 60, b"x")
    assert isinstance(await refused(store, root, tmp_path), ContentTooLarge)
    with pytest.raises(ContentTooLarge):
        await store.read_bytes(root.text(), max_bytes=10**9)


async def test_fetch_tree__endless_empty_parts__end_at_the_block_limit(tmp_path: Path) -> None:
    store = MemoryStore()
    root = await doubling_file(store, 8, b"")
    for _ in range(3):  # a directory of directories of it: past the block limit, not the depth
        entries = ((f"{number}", root) for number in range(40))
        root = await put_node(store, DIRECTORY_DATA, *entries)
    assert isinstance(await refused(store, root, tmp_path), ContentTooLarge)


async def test_fetch_tree__deep_nesting__is_too_large(tmp_path: Path) -> None:
    store = MemoryStore()
    root = await put(store, b"x", RAW)
    for _ in range(9):
        root = await put_node(store, DIRECTORY_DATA, ("d", root))
    assert isinstance(await refused(store, root, tmp_path), ContentTooLarge)


async def test_fetch_tree__many_files__are_too_many(tmp_path: Path) -> None:
    store = MemoryStore()
    file = await put(store, b"x", RAW)
    root = await put_node(store, DIRECTORY_DATA, *((f"{n}", file) for n in range(101)))
    assert isinstance(await refused(store, root, tmp_path), ContentTooLarge)


async def test_blocks_below__shared_blocks__come_once() -> None:
    store = MemoryStore()
    root = await doubling_file(store, 60, b"x")
    assert len([cid async for cid, _ in store.blocks_below(root.text())]) == 61


async def test_blocks_below__block_that_is_a_file_too__still_leads_on() -> None:
    store = MemoryStore()
    leaf = await put(store, b"x", RAW)
    node = await put_node(store, DIRECTORY_DATA, ("leaf", leaf))
    exported = ParsedCid(1, RAW, node.digest)  # the same bytes, kept as a file
    root = await put_node(store, DIRECTORY_DATA, ("a", exported), ("b", node))
    found = [cid async for cid, _ in store.blocks_below(root.text())]
    assert sorted(found, key=ParsedCid.text) == sorted(
        [root, exported, node, leaf], key=ParsedCid.text
    )


SIZES_OF_NOTHING = b"\0" * 1000


@pytest.mark.parametrize(
    "fields",
    [
        bytes_field(4, SIZES_OF_NOTHING),
        varint_field(4, 0) * 1000,
        varint_field(9, 0) * 1000,
        varint_field(1, EntryType.FILE) * 1000,
    ],
    ids=["packed", "sizes", "unknown", "types"],
)
def test_decode_block__fields_that_mean_nothing__are_not_all_read(
    fields: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_read = 0

    def counted(data: bytes, offset: int) -> tuple[int, int]:
        nonlocal n_read
        n_read += 1
        return decode_varint(data, offset)

    for module in (wire, unixfs):
        monkeypatch.setattr(module, "decode_varint", counted)
    block = encode_node(PbNode((), varint_field(1, EntryType.FILE) + fields))
    with pytest.raises(ContentMalformed):
        decode_block(hash_block(block, version=1, codec=DAG_PB), block)
    assert n_read < 200


@given(st.binary(max_size=200))
def test_decode_block__any_bytes__are_a_node_or_a_content_error(block: bytes) -> None:
    cid = hash_block(block, version=1, codec=DAG_PB)
    try:
        node = decode_block(cid, block)
    except ContentError:
        return
    if isinstance(node, FileNode):
        assert len(node.data) + sum(part.file_bytes for part in node.parts) == node.file_bytes
    else:
        assert len({entry.name for entry in node.entries}) == len(node.entries)


links = st.builds(
    PbLink,
    st.builds(
        ParsedCid, st.just(1), st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32)
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=10),
    st.integers(0, 2**64 - 1),
)


@given(st.lists(links, max_size=5).map(tuple), st.binary(max_size=50))
def test_dag_pb__any_node__round_trips(some_links: tuple[PbLink, ...], data: bytes) -> None:
    node = PbNode(some_links, data)
    assert decode_node(encode_node(node)) == node


@given(st.integers(0, 2**64 - 1), st.binary(max_size=4))
def test_varint__any_number__round_trips(number: int, rest: bytes) -> None:
    encoded = encode_varint(number)
    assert decode_varint(encoded + rest, 0) == (number, len(encoded))


tiny = st.builds(
    ImportProfile,
    st.just("tiny"),
    st.sampled_from([0, 1]),
    st.booleans(),
    st.integers(1, 8),
    st.integers(2, 4),
)


@given(st.binary(max_size=300), tiny, st.lists(st.integers(0, 300), max_size=6), st.data())
async def test_file__any_bytes_and_layout__round_trip(
    data: bytes, profile: ImportProfile, cuts: list[int], draw: st.DataObject
) -> None:
    store = MemoryStore(profile)
    root = await store.add_bytes(data)
    assert await store.read_bytes(root, max_bytes=300) == data
    offset, length = draw.draw(st.integers(0, 310)), draw.draw(st.integers(0, 310))
    part = [piece async for piece in store.stream(root, offset=offset, length=length)]
    assert b"".join(part) == data[offset : offset + length]
    assert fed_in_pieces(data, profile, cuts) == root


def fed_in_pieces(data: bytes, profile: ImportProfile, cuts: list[int]) -> Cid:
    """However the bytes arrive, the CID is the same."""
    builder = FileBuilder(profile, discard_block)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(bounds):
        builder.feed(data[start:end])
    return builder.finish().cid.text()
