"""KuboStore, GatewayStore and FallbackStore against a real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from decentralized_vllm.content.fallback import FallbackStore
from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.profiles import PROFILES, V0, V1, ImportProfile
from decentralized_vllm.content.server.listeners import ContentServer, Listener
from decentralized_vllm.protocol.errors import (
    ContentMismatch,
    ContentTooLarge,
    ContentUnavailable,
    SettingError,
)
from decentralized_vllm.protocol.ports import ContentLimits, ContentStore
from tests.support.cid_vectors import load_vectors, sample_bytes, write_sample
from tests.support.trees import contents

VECTORS = load_vectors()["cids"]
LIMITS = ContentLimits(max_bytes=10_000_000)


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[LocalStore]:
    async with LocalStore(tmp_path / "far") as store:
        yield store


@pytest.fixture
async def server(far: LocalStore) -> AsyncIterator[ContentServer]:
    async with ContentServer(far, api_port=0, gateway_port=0) as running:
        yield running


@pytest.fixture
async def kubo(server: ContentServer) -> AsyncIterator[KuboStore]:
    async with KuboStore(server.api_url) as store:
        yield store


@pytest.fixture
async def gateway(server: ContentServer) -> AsyncIterator[GatewayStore]:
    async with GatewayStore([server.gateway_url], public_only=False) as store:
        yield store


CASES = [(name, profile) for name in ("b0", "b262145", "tree") for profile in PROFILES]


@pytest.mark.parametrize(("name", "profile"), [*CASES, ("many", "v1")])
async def test_kubo_add_path__every_profile__stores_the_recorded_cid(
    server: ContentServer, tmp_path: Path, name: str, profile: str
) -> None:
    path = write_sample(name, tmp_path)
    async with KuboStore(server.api_url, PROFILES[profile]) as kubo:
        cid = await kubo.add_path(path)
        assert cid == VECTORS[name][profile]
        assert cid in await kubo.pins()
        await kubo.fetch_tree(cid, tmp_path / "copy", limits=LIMITS)
    assert contents(tmp_path / "copy") == contents(path)


async def test_kubo__as_a_content_store__keeps_pins_and_reads(kubo: KuboStore) -> None:
    port: ContentStore = kubo
    data = sample_bytes(700_000)
    cid = await port.add_bytes(data)
    assert cid == cid_of_bytes(data)
    assert await port.read_bytes(cid, max_bytes=len(data)) == data
    await port.unpin(cid)
    await port.unpin(cid)
    assert await kubo.pins() == []
    await port.pin(cid)
    assert await kubo.pins() == [cid]


async def test_kubo_put_block__both_codecs__are_had_afterwards(kubo: KuboStore) -> None:
    source = MemoryStore()
    cid = await source.add_bytes(sample_bytes(300_000))
    assert not await kubo.has_block(cid)
    async for block_cid, block in source.blocks_below(cid):
        await kubo.put_block(block_cid.text(), block)
    assert await kubo.has_block(cid)
    await kubo.pin(cid)


async def test_kubo_get_block__absent__is_unavailable(kubo: KuboStore) -> None:
    with pytest.raises(ContentUnavailable, match="not here"):
        await kubo.get_block(cid_of_bytes(b"absent"))


async def test_kubo__address_of_something_else__names_the_setting(server: ContentServer) -> None:
    async with KuboStore(server.gateway_url) as kubo:
        with pytest.raises(SettingError, match="ipfs_api") as caught:
            await kubo.version()
    assert caught.value.setting == "ipfs_api"


async def test_kubo__nobody_listens__is_unavailable() -> None:
    async with KuboStore("http://127.0.0.1:1") as kubo:
        with pytest.raises(ContentUnavailable, match="cannot be read"):
            await kubo.version()


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
    server: ContentServer, far: LocalStore
) -> None:
    cid = await far.add_bytes(b"still there")
    urls = ["http://127.0.0.1:1", server.gateway_url]
    async with GatewayStore(urls, public_only=False) as gateway:
        assert await gateway.read_bytes(cid, max_bytes=100) == b"still there"


async def test_gateway__public_only__never_reaches_loopback(
    server: ContentServer, far: LocalStore
) -> None:
    cid = await far.add_bytes(b"internal")
    port = server.gateway_url.rpartition(":")[2]
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


async def test_kubo_put_block__another_block_stored__is_a_mismatch() -> None:
    class Other(KuboStore):
        async def _lines(self, *_: object, **__: object):  # type: ignore[no-untyped-def, override]
            return [{"Key": cid_of_bytes(b"other")}]

    with pytest.raises(ContentMismatch, match="instead of"):
        await Other("http://127.0.0.1:1").put_block(cid_of_bytes(b"mine"), b"mine")


async def test_kubo__something_else_answers__names_the_setting() -> None:
    async def text(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    async def listing(_: web.Request) -> web.Response:
        return web.json_response([1])

    app = web.Application()
    app.add_routes([web.post("/api/v0/version", text), web.post("/api/v0/pin/ls", listing)])
    listener = Listener(app, 0, setting="port")
    await listener.start()
    async with KuboStore(listener.url) as kubo:
        with pytest.raises(SettingError, match="something else than JSON"):
            await kubo.version()
        with pytest.raises(SettingError, match="something else than objects"):
            await kubo.pins()
    await listener.stop()


async def test_fallback__no_source_has_it__is_unavailable(gateway: GatewayStore) -> None:
    store = FallbackStore(MemoryStore(), [gateway])
    with pytest.raises(ContentUnavailable):
        await store.get_block(cid_of_bytes(b"absent"))
    assert not await store.has_block(cid_of_bytes(b"absent"))


@pytest.mark.parametrize("profile", [V0, V1])
async def test_fetch_tree__broken_off__resumes_without_fetching_again(
    far: LocalStore, server: ContentServer, tmp_path: Path, profile: ImportProfile
) -> None:
    data = sample_bytes(5_000_000)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(data)
    cid = await far.add_path(tmp_path / "model", profile=profile)

    class Counting(GatewayStore):
        fetched = 0
        fail_after = 10

        async def get_block(self, cid):  # type: ignore[no-untyped-def]
            if self.fetched == self.fail_after:
                raise ContentUnavailable("the line is cut")
            self.fetched += 1
            return await super().get_block(cid)

    target = tmp_path / "copy"
    async with Counting([server.gateway_url], public_only=False) as gateway:
        with pytest.raises(ContentUnavailable, match="cut"):
            await gateway.fetch_tree(cid, target, limits=LIMITS, parallel_blocks=1)
        assert not target.exists()
        gateway.fail_after = 100
        seen: list[int] = []
        await gateway.fetch_tree(
            cid, target, limits=LIMITS, progress=lambda done, _: seen.append(done)
        )
        # 20 leaves and 2 inner nodes; the inner nodes of the first try are fetched again.
        assert gateway.fetched == 22 + 2
    assert (target / "weights").read_bytes() == data
    assert seen[-1] == len(data)
    assert not any(name.startswith(".") for name in contents(tmp_path))


async def test_fetch_tree__target_exists__is_left_alone(far: LocalStore, tmp_path: Path) -> None:
    cid = await far.add_bytes(b"new")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(SettingError, match="exists already"):
        await far.fetch_tree(cid, tmp_path / "file", limits=LIMITS)
    assert (tmp_path / "file").read_bytes() == b"old"


async def test_fetch_tree__over_the_limit__leaves_no_target(
    gateway: GatewayStore, far: LocalStore, tmp_path: Path
) -> None:
    cid = await far.add_path(write_sample("tree", tmp_path))
    for limits in (
        ContentLimits(max_bytes=1_300_022),
        ContentLimits(max_bytes=10_000_000, max_files=7),
        ContentLimits(max_bytes=10_000_000, max_depth=2),
        ContentLimits(max_bytes=10_000_000, max_blocks=5),
    ):
        with pytest.raises(ContentTooLarge):
            await gateway.fetch_tree(cid, tmp_path / "copy", limits=limits)
        assert not (tmp_path / "copy").exists()


async def test_kubo_add__answer_with_another_cid__is_a_mismatch(far: LocalStore) -> None:
    class Other(KuboStore):
        async def _lines(self, *_: object, **__: object):  # type: ignore[no-untyped-def, override]
            return [{"Hash": cid_of_bytes(b"other")}]

    with pytest.raises(ContentMismatch, match="instead of"):
        await Other("http://127.0.0.1:1").add_bytes(b"mine")
