"""GatewayStore and FallbackStore against a real server."""

from pathlib import Path

import pytest

from decentralized_vllm.content.fallback import FallbackStore
from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.protocol.errors import (
    ContentUnavailable,
)
from decentralized_vllm.protocol.ports import ContentLimits, ContentStore
from tests.support.cid_vectors import sample_bytes, write_sample
from tests.support.trees import contents

LIMITS = ContentLimits(max_bytes=10_000_000)


async def test_gateway__tree_of_another_node__is_fetched(
    gateway: GatewayStore, far: LocalStore, tmp_path: Path
) -> None:
    tree = write_sample("tree", tmp_path)
    cid = await far.add_path(tree)
    await gateway.fetch_tree(cid, tmp_path / "copy", limits=LIMITS)
    assert contents(tmp_path / "copy") == contents(tree)
    assert await gateway.has_block(cid)


async def test_gateway__absent__is_unavailable(gateway: GatewayStore) -> None:
    assert not await gateway.has_block(cid_of_bytes(b"absent"))
    with pytest.raises(ContentUnavailable, match="404"):
        await gateway.get_block(cid_of_bytes(b"absent"))


async def test_gateway__first_source_down__reads_from_the_second(
    far_server: ContentServer, far: LocalStore
) -> None:
    cid = await far.add_bytes(b"still there")
    urls = ["http://127.0.0.1:1", far_server.gateway_url]
    async with GatewayStore(urls, public_only=False) as gateway:
        assert await gateway.read_bytes(cid, max_bytes=100) == b"still there"


async def test_gateway__public_only__never_reaches_loopback(
    far_server: ContentServer, far: LocalStore
) -> None:
    cid = await far.add_bytes(b"internal")
    port = far_server.gateway_url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0.0.0.0"):
        async with GatewayStore([f"http://{host}:{port}"]) as gateway:
            with pytest.raises(ContentUnavailable, match=r"not a public address|cannot be read"):
                await gateway.get_block(cid)


async def test_fallback__read_from_afar__is_kept(
    gateway: GatewayStore, far: LocalStore, tmp_path: Path
) -> None:
    own = MemoryStore()
    port: ContentStore = FallbackStore(own, [gateway])
    cid = await far.add_path(write_sample("tree2", tmp_path))
    await port.fetch_tree(cid, tmp_path / "copy", limits=LIMITS)
    await own.pin(cid)  # only what is here whole can be pinned


async def test_fallback_pin__only_far_blocks__fetches_them(
    gateway: GatewayStore, far: LocalStore
) -> None:
    own = MemoryStore()
    cid = await far.add_bytes(sample_bytes(600_000))
    await FallbackStore(own, [gateway]).pin(cid)
    assert await own.pins() == [cid]
    assert await own.collect_garbage() == []


async def test_fallback__own_block_damaged__is_replaced_from_afar(
    gateway: GatewayStore, far: LocalStore
) -> None:
    own = MemoryStore()
    data = b"precious"
    cid = await own.add_bytes(data)
    await far.add_bytes(data)
    (key,) = own.blocks
    own.blocks[key] = b"rotten"
    assert await FallbackStore(own, [gateway]).get_block(cid) == data
    assert own.blocks[key] == data


async def test_fallback__own_store_full__still_reads(
    gateway: GatewayStore, far: LocalStore
) -> None:
    cid = await far.add_bytes(sample_bytes(1000))
    own = MemoryStore(max_bytes=10)
    store = FallbackStore(own, [gateway])
    assert await store.read_bytes(cid, max_bytes=1000) == sample_bytes(1000)
    assert (await own.usage()).n_bytes == 0


async def test_fallback__adds_and_pins__go_to_the_own_store(
    gateway: GatewayStore, tmp_path: Path
) -> None:
    own = MemoryStore()
    store = FallbackStore(own, [gateway])
    cid = await store.add_bytes(b"mine")
    tree = await store.add_path(write_sample("tree2", tmp_path))
    assert await own.pins() == sorted([cid, tree])
    await store.unpin(tree)
    assert await own.pins() == [cid]
    await store.put_block(cid_of_bytes(b"block"), b"block")
    assert await store.has_block(cid_of_bytes(b"block"))


async def test_fallback__no_source_has_it__is_unavailable(gateway: GatewayStore) -> None:
    store = FallbackStore(MemoryStore(), [gateway])
    with pytest.raises(ContentUnavailable):
        await store.get_block(cid_of_bytes(b"absent"))
    assert not await store.has_block(cid_of_bytes(b"absent"))
