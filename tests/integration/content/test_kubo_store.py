"""KuboStore against a real server."""

from pathlib import Path

import pytest
from aiohttp import web

from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.profiles import PROFILES
from decentralized_vllm.content.server.listeners import ContentServer, Listener
from decentralized_vllm.protocol.errors import (
    ContentMismatch,
    ContentUnavailable,
    SettingError,
)
from decentralized_vllm.protocol.ports import ContentLimits, ContentStore
from tests.support.cid_vectors import load_vectors, sample_bytes, write_sample
from tests.support.trees import contents

VECTORS = load_vectors()["cids"]
LIMITS = ContentLimits(max_bytes=10_000_000)
CASES = [(name, profile) for name in ("b0", "b262145", "tree") for profile in PROFILES]


@pytest.mark.parametrize(("name", "profile"), [*CASES, ("many", "v1")])
async def test_kubo_add_path__every_profile__stores_the_recorded_cid(
    far_server: ContentServer, tmp_path: Path, name: str, profile: str
) -> None:
    path = write_sample(name, tmp_path)
    async with KuboStore(far_server.api_url, PROFILES[profile]) as kubo:
        cid = await kubo.add_path(path)
        assert cid == VECTORS[name][profile]
        assert cid in await kubo.pins()
        await kubo.fetch_tree(cid, tmp_path / "copy", limits=LIMITS)
    assert contents(tmp_path / "copy") == contents(path)


async def test_kubo_add_path__file_changes_before_it_is_sent__is_not_laid_on_the_kubo(
    kubo: KuboStore, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("as it was read first")
    with pytest.raises(ContentMismatch) as caught:
        await kubo.add_path(file, progress=lambda *_: (file.write_text("as it was sent"), None)[1])
    assert "changed" in str(caught.value)


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


async def test_kubo__address_of_something_else__names_the_setting(
    far_server: ContentServer,
) -> None:
    async with KuboStore(far_server.gateway_url) as kubo:
        with pytest.raises(SettingError, match="ipfs_api") as caught:
            await kubo.version()
    assert caught.value.setting == "ipfs_api"


async def test_kubo__nobody_listens__is_unavailable() -> None:
    async with KuboStore("http://127.0.0.1:1") as kubo:
        with pytest.raises(ContentUnavailable, match="cannot be read"):
            await kubo.version()


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


async def test_kubo_add__answer_with_another_cid__is_a_mismatch(far: LocalStore) -> None:
    class Other(KuboStore):
        async def _lines(self, *_: object, **__: object):  # type: ignore[no-untyped-def, override]
            return [{"Hash": cid_of_bytes(b"other")}]

    with pytest.raises(ContentMismatch, match="instead of"):
        await Other("http://127.0.0.1:1").add_bytes(b"mine")
