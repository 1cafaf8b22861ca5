"""Every other RPC call over a real socket."""

import asyncio
import io
import tarfile
from pathlib import Path

import aiohttp
import pytest

from decentralized_vllm.content.car import encode_header
from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.profiles import V0, V1
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import SettingError
from tests.support.cid_vectors import sample_bytes, write_sample
from tests.support.rpc import Rpc, form


async def test_cat__offset_and_length__is_that_part(rpc: Rpc, store: PinningStore) -> None:
    data = sample_bytes(300_000)
    cid = await store.add_bytes(data)
    async with rpc.post("cat", arg=cid, offset=262_000, length=1000) as response:
        assert response.headers["X-Stream-Output"] == "1"
        assert await response.read() == data[262_000:263_000]


async def test_cat__absent_and_bad__are_kubos_errors(rpc: Rpc) -> None:
    assert (await rpc.error("cat", arg=cid_of_bytes(b"absent")))[0] == 500
    assert (await rpc.error("cat", arg="QmPromptHash123"))[0] == 500
    assert await rpc.error("cat") == (400, "argument 'arg' is required")


async def test_cat__block_lost_midway__ends_with_the_error_trailer(
    rpc: Rpc, store: PinningStore, server: ContentServer
) -> None:
    data = sample_bytes(600_000)
    cid = await store.add_bytes(data)
    store._delete_all_but({parse_cid(c).multihash for c in (cid, cid_of_bytes(data[:262_144]))})
    port = int(server.api_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)  # aiohttp hides trailers
    writer.write(f"POST /api/v0/cat?arg={cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert b"Trailer: X-Stream-Error" in answer
    assert answer.rpartition(b"\r\n0\r\nX-Stream-Error: ")[2].endswith(b"is not here\r\n\r\n")


async def test_block_put__what_it_cannot_do__is_refused(rpc: Rpc) -> None:
    assert (await rpc.error("block/put", form({"b": b"x"}), cid_codec="dag-cbor"))[0] == 400
    assert (await rpc.error("block/put", form({"b": b"x"}), mhtype="blake3"))[0] == 400
    status, message = await rpc.error("block/put", form({"b": bytes(2 * 1024 * 1024 + 1)}))
    assert status == 500 and "at most" in message


async def test_block_put__pin__keeps_it(rpc: Rpc, store: PinningStore) -> None:
    (line,) = await rpc.lines("block/put", form({"b": b"x"}), pin="true")
    assert await store.pins() == [line["Key"]]


async def test_reads_and_pins__what_they_cannot_do__is_refused(
    rpc: Rpc, store: PinningStore
) -> None:
    cid = await store.add_bytes(b"x")
    assert (await rpc.error("get", arg=cid, compress="true"))[0] == 400
    assert (await rpc.error("get", arg=[cid, cid]))[0] == 400
    assert (await rpc.error("pin/ls", type="strange"))[0] == 400
    assert (await rpc.error("pin/add", arg=cid, recursive="false"))[0] == 400
    assert (await rpc.error("cat", arg=cid, offset="-1"))[0] == 400
    assert await rpc.lines("pin/ls", type="direct") == [{"Keys": {}}]


async def test_dag_import__root_without_its_blocks__tells_why_it_is_not_pinned(
    rpc: Rpc, store: PinningStore
) -> None:
    car = encode_header(parse_cid(cid_of_bytes(b"absent")))
    (line,) = await rpc.lines("dag/import", form({"f": car}))
    assert "not here" in line["Root"]["PinErrorMsg"]
    assert await store.pins() == []


async def test_ls__directory__tells_files_and_directories(
    rpc: Rpc, store: PinningStore, tmp_path: Path
) -> None:
    cid = await store.add_path(write_sample("tree", tmp_path))
    (answer,) = await rpc.lines("ls", arg=cid)
    links = {link["Name"]: link for link in answer["Objects"][0]["Links"]}
    assert links["model.safetensors"]["Size"] == 1_000_000
    assert links["model.safetensors"]["Type"] == 2
    assert links["a"]["Type"] == 1
    (below,) = await rpc.lines("ls", arg=f"/ipfs/{cid}/a")
    assert [link["Name"] for link in below["Objects"][0]["Links"]] == ["b", "x"]


async def test_get__tree__is_a_tar_of_it(rpc: Rpc, store: PinningStore, tmp_path: Path) -> None:
    tree = write_sample("tree", tmp_path)
    cid = await store.add_path(tree)
    async with rpc.post("get", arg=cid, archive="true") as response:
        body = await response.read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getmember(f"{cid}/emptydir").isdir()
        member = archive.extractfile(f"{cid}/é.txt")
        assert member is not None and member.read() == sample_bytes(5)


async def test_pins__life__add_list_remove(rpc: Rpc, store: PinningStore) -> None:
    cid = await store.add_bytes(b"x")
    await store.unpin(cid)
    assert await rpc.lines("pin/add", arg=cid) == [{"Pins": [cid]}]
    assert await rpc.lines("pin/ls", type="recursive") == [{"Keys": {cid: {"Type": "recursive"}}}]
    assert await rpc.lines("pin/ls", stream="true") == [{"Cid": cid, "Type": "recursive"}]
    assert await rpc.lines("pin/rm", arg=cid) == [{"Pins": [cid]}]
    assert (await rpc.error("pin/rm", arg=cid))[0] == 500
    assert (await rpc.error("pin/ls", arg=cid))[0] == 500
    assert await rpc.lines("repo/gc") == [{"Key": {"/": cid}}]


@pytest.mark.parametrize(
    ("params", "profile"), [({"format": "v0"}, V0), ({}, V1), ({"cid_codec": "raw"}, V1)]
)
async def test_block__put_get_stat__round_trips(
    rpc: Rpc, params: dict[str, object], profile: object
) -> None:
    block = b"\x0a\x04\x08\x02\x18\x00"  # an empty UnixFS file
    (line,) = await rpc.lines("block/put", form({"block": block}), **params)
    assert line["Size"] == len(block)
    assert (parse_cid(line["Key"]).version == 0) == (profile is V0)
    async with rpc.post("block/get", arg=line["Key"]) as response:
        assert await response.read() == block
    assert await rpc.lines("block/stat", arg=line["Key"]) == [line]


async def test_dag__export_then_import__moves_the_tree(
    rpc: Rpc, store: PinningStore, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    cid = await store.add_path(write_sample("tree", tmp_path))
    async with rpc.post("dag/export", arg=cid) as response:
        car = await response.read()
    other = MemoryStore()
    async with ContentServer(other, api_port=0, gateway_port=0) as second:
        root, stats = await Rpc(second, http).lines("dag/import", form({"f": car}), stats="true")
    assert root == {"Root": {"Cid": {"/": cid}, "PinErrorMsg": ""}}
    assert stats["Stats"]["BlockCount"] == (await other.usage()).n_blocks
    assert await other.pins() == [cid]


async def test_dag_import__block_that_lies__is_refused(rpc: Rpc, store: PinningStore) -> None:
    cid = await store.add_bytes(b"honest bytes")
    async with rpc.post("dag/export", arg=cid) as response:
        car = await response.read()
    status, message = await rpc.error("dag/import", form({"f": car.replace(b"honest", b"forged")}))
    assert status == 500
    assert "do not hash" in message


async def test_rpc__get_or_foreign_origin__is_refused(
    server: ContentServer, http: aiohttp.ClientSession
) -> None:
    url = f"{server.api_url}/api/v0/id"
    async with http.get(url) as response:
        assert response.status == 405
    async with http.post(url, headers={"Origin": "https://evil.example"}) as response:
        assert response.status == 403
    async with http.post(url, headers={"Origin": "null"}) as response:
        assert response.status == 403


async def test_rpc__allowed_origin__is_served(http: aiohttp.ClientSession) -> None:
    origin = "http://localhost:3000"
    server = ContentServer(MemoryStore(), api_port=0, gateway_port=0, allowed_origins=[origin])
    async with server:
        url = f"{server.api_url}/api/v0/version"
        async with http.post(url, headers={"Origin": origin}) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == origin


async def test_node_calls__tools_asking_around__get_plain_answers(rpc: Rpc) -> None:
    assert (await rpc.lines("id"))[0]["ID"].startswith("12D3KooW")
    assert (await rpc.lines("version"))[0]["Version"] == "0.22.0"
    assert await rpc.lines("swarm/peers") == [{"Peers": []}]
    assert (await rpc.lines("repo/stat"))[0]["NumObjects"] == 0
    assert (await rpc.error("swarm/connect", arg="/ip4/127.0.0.1/tcp/1"))[0] == 400


async def test_start__port_taken__names_the_setting(server: ContentServer) -> None:
    taken = int(server.api_url.rpartition(":")[2])
    other = ContentServer(MemoryStore(), api_port=0, gateway_port=taken)
    with pytest.raises(SettingError, match=r"gateway_port.*taken") as caught:
        await other.start()
    assert caught.value.setting == "gateway_port"
