"""The trustless gateway over a real socket."""

from pathlib import Path

import aiohttp
import pytest

from decentralized_vllm.content.car import CarReader
from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.content.store import PinningStore
from tests.support.cid_vectors import sample_bytes, write_sample


async def test_gateway__block_lost_midway__cuts_the_connection(
    server: ContentServer,
    store: PinningStore,
    http: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = sample_bytes(600_000)
    cid = await store.add_bytes(data)
    store._delete_all_but({parse_cid(c).multihash for c in (cid, cid_of_bytes(data[:262_144]))})
    for query in ("", "?format=car"):
        with pytest.raises(aiohttp.ClientError):
            async with http.get(f"{server.gateway_url}/ipfs/{cid}{query}") as response:
                await response.read()
    assert "Traceback" not in caplog.text


async def test_gateway__raw_block__is_that_block(
    server: ContentServer, store: PinningStore, http: aiohttp.ClientSession
) -> None:
    cid = await store.add_bytes(b"block")
    async with http.get(f"{server.gateway_url}/ipfs/{cid}?format=raw") as response:
        assert response.content_type == "application/vnd.ipld.raw"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.read() == b"block"
    async with http.head(f"{server.gateway_url}/ipfs/{cid}?format=raw") as response:
        assert response.status == 200


async def test_gateway__car__holds_every_block(
    server: ContentServer, store: PinningStore, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    cid = await store.add_path(write_sample("tree", tmp_path))
    other = MemoryStore()
    headers = {"Accept": "application/vnd.ipld.car"}
    async with http.get(f"{server.gateway_url}/ipfs/{cid}", headers=headers) as response:
        car = CarReader(response.content.iter_any())
        assert [root.text() for root in await car.roots()] == [cid]
        async for block_cid, block in car.blocks():
            await other.put_block(block_cid.text(), block)
    await other.pin(cid)


async def test_gateway__path_to_a_file__is_its_bytes_and_never_html(
    server: ContentServer, store: PinningStore, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    cid = await store.add_path(write_sample("tree", tmp_path))
    async with http.get(f"{server.gateway_url}/ipfs/{cid}/a/x") as response:
        assert response.content_type == "application/octet-stream"
        assert await response.read() == sample_bytes(10)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("QmPromptHash123", 400),
        (cid_of_bytes(b"absent"), 404),
        (f"{cid_of_bytes(b'absent')}?format=raw", 404),
        (f"{cid_of_bytes(b'absent')}?format=car", 404),
        ("{tree}", 400),
        ("{tree}/nothing", 404),
        ("{tree}/model.safetensors/x", 422),
        ("{tree}?format=zip", 400),
        ("..%2f..%2fetc%2fpasswd", 400),
    ],
)
async def test_gateway__what_it_cannot_serve__is_said(
    server: ContentServer,
    store: PinningStore,
    http: aiohttp.ClientSession,
    tmp_path: Path,
    path: str,
    status: int,
) -> None:
    tree = await store.add_path(write_sample("tree2", tmp_path))
    url = f"{server.gateway_url}/ipfs/{path.replace('{tree}', tree)}"
    async with http.get(url) as response:
        assert response.status == status
