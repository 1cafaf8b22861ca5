"""The Kubo-compatible RPC and the trustless gateway over real sockets."""

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from decentralized_vllm.content.car import CarReader, encode_header
from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.profiles import PROFILES, V0, V1
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import SettingError
from tests.support.cid_vectors import load_vectors, sample_bytes, write_sample

VECTORS = load_vectors()["cids"]


@pytest.fixture(params=["memory", "local"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PinningStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with LocalStore(tmp_path / "store") as local:
        yield local


@pytest.fixture
async def server(store: PinningStore) -> AsyncIterator[ContentServer]:
    async with ContentServer(store, api_port=0, gateway_port=0) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Rpc:
    """Posts to one server and reads JSON lines."""

    def __init__(self, server: ContentServer, http: aiohttp.ClientSession) -> None:
        self._base = f"{server.api_url}/api/v0/"
        self._http = http

    def post(self, call: str, files: object = None, **params: object) -> object:
        query = [
            (key.replace("_", "-"), str(item))
            for key, value in params.items()
            for item in (value if isinstance(value, list) else [value])
        ]
        return self._http.post(self._base + call, params=query, data=files)

    async def lines(self, call: str, files: object = None, **params: object) -> list[dict]:
        async with self.post(call, files, **params) as response:
            assert response.status == 200, await response.text()
            return [json.loads(line) for line in (await response.text()).splitlines()]

    async def error(self, call: str, files: object = None, **params: object) -> tuple[int, str]:
        async with self.post(call, files, **params) as response:
            body = await response.json()
            assert body["Type"] == "error"
            return response.status, body["Message"]


@pytest.fixture
def rpc(server: ContentServer, http: aiohttp.ClientSession) -> Rpc:
    return Rpc(server, http)


def form(files: dict[str, bytes | None]) -> aiohttp.FormData:
    """Files by path; None is a directory."""
    data = aiohttp.FormData(quote_fields=False)
    for path, content in files.items():
        quoted = path.replace("/", "%2F")
        if content is None:
            kind = "application/x-directory"
            data.add_field("file", b"", filename=quoted, content_type=kind)
        else:
            data.add_field("file", io.BytesIO(content), filename=quoted)
    return data


def tree_form(folder: Path) -> aiohttp.FormData:
    root = folder.parent
    return form(
        {
            str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
            for path in [folder, *sorted(folder.rglob("*"))]
        }
    )


@pytest.mark.parametrize("name", ["b0", "b1", "b262145", "b1000000"])
@pytest.mark.parametrize("profile", PROFILES)
async def test_add__file_with_parameters__has_the_recorded_cid(
    rpc: Rpc, name: str, profile: str
) -> None:
    chosen = PROFILES[profile]
    params = {"chunker": f"size-{chosen.chunk_bytes}", "max_file_links": chosen.max_links}
    (line,) = await rpc.lines(
        "add",
        form({name: sample_bytes(int(name[1:]))}),
        cid_version=chosen.cid_version,
        raw_leaves=str(chosen.raw_leaves).lower(),
        **params,
    )
    assert line["Hash"] == VECTORS[name][profile]
    assert line["Name"] == name


async def test_add__no_parameters__is_kubos_default(rpc: Rpc, store: PinningStore) -> None:
    (line,) = await rpc.lines("add", form({"b262145": sample_bytes(262_145)}))
    assert line["Hash"] == VECTORS["b262145"]["v0"]
    assert int(line["Size"]) > 262_145
    assert await store.pins() == [line["Hash"]]


async def test_add__directory__answers_root_last(rpc: Rpc, tmp_path: Path) -> None:
    tree = write_sample("tree", tmp_path)
    lines = await rpc.lines("add", tree_form(tree), cid_version=1)
    assert lines[-1]["Name"] == "tree"
    assert lines[-1]["Hash"] == VECTORS["tree"]["v1"]
    assert {line["Name"] for line in lines} >= {"tree/a/b/empty", "tree/emptydir", "tree/é.txt"}


async def test_add__wrap_with_directory__is_the_folder_itself(rpc: Rpc, tmp_path: Path) -> None:
    tree = write_sample("tree2", tmp_path)
    files = {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*.*")}
    files["a/x"] = (tree / "a" / "x").read_bytes()
    lines = await rpc.lines("add", form(files), cid_version=1, wrap_with_directory="true")
    assert lines[-1] == {"Name": "", "Hash": VECTORS["tree2"]["v1"], "Size": lines[-1]["Size"]}


async def test_add__only_hash__stores_nothing(rpc: Rpc, store: PinningStore) -> None:
    (line,) = await rpc.lines("add", form({"x": b"data"}), only_hash="true", cid_version=1)
    assert line["Hash"] == cid_of_bytes(b"data")
    assert (await store.usage()).n_blocks == 0


@pytest.mark.parametrize(
    "params",
    [
        {"chunker": "rabin"},
        {"chunker": "size-99999999"},
        {"trickle": "true"},
        {"cid_version": 2},
        {"hash": "blake3"},
        {"pin": "perhaps"},
        {"inline": "true"},
    ],
)
async def test_add__what_would_give_another_cid__is_refused(
    rpc: Rpc, params: dict[str, object]
) -> None:
    status, _ = await rpc.error("add", form({"x": b"data"}), **params)
    assert status == 400


@pytest.mark.parametrize("name", ["../x", "a//b", "a/../b", "//etc/passwd", "a\\b", "."])
async def test_add__hostile_name__is_refused(rpc: Rpc, store: PinningStore, name: str) -> None:
    status, _ = await rpc.error("add", form({f"d/{name}" if name == "." else name: b"data"}))
    assert status == 500
    assert await store.pins() == []


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


async def test_gateway__block_lost_midway__cuts_the_connection(
    server: ContentServer, store: PinningStore, http: aiohttp.ClientSession
) -> None:
    data = sample_bytes(600_000)
    cid = await store.add_bytes(data)
    store._delete_all_but({parse_cid(c).multihash for c in (cid, cid_of_bytes(data[:262_144]))})
    for query in ("", "?format=car"):
        with pytest.raises(aiohttp.ClientError):
            async with http.get(f"{server.gateway_url}/ipfs/{cid}{query}") as response:
                await response.read()


async def test_add__no_multipart_or_a_link__is_refused(
    server: ContentServer, http: aiohttp.ClientSession, rpc: Rpc
) -> None:
    async with http.post(f"{server.api_url}/api/v0/add", data=b"plain") as response:
        assert response.status == 400
    link = aiohttp.FormData()
    link.add_field("file", b"/etc/passwd", filename="x", content_type="application/symlink")
    assert await rpc.error("add", link) == (400, "symbolic links are not supported")


@pytest.mark.parametrize("files", [{"a": b"1", "a/b": b"2"}, {"a": None, "a/b": b"2"}])
async def test_add__name_as_file_and_directory__is_refused_or_merged(
    rpc: Rpc, files: dict[str, bytes | None]
) -> None:
    if files["a"] is None:
        lines = await rpc.lines("add", form(files))
        assert [line["Name"] for line in lines] == ["a/b", "a"]
    else:
        status, message = await rpc.error("add", form(files))
        assert (status, message) == (400, "'a' is both a file and a directory")


async def test_add__same_name_twice__is_refused(rpc: Rpc) -> None:
    twice = form({"a": b"1"})
    twice.add_field("file", b"2", filename="a")
    assert (await rpc.error("add", twice))[0] == 400


async def test_add__progress__tells_bytes_before_hashes(rpc: Rpc) -> None:
    first, second = await rpc.lines("add", form({"a": b"four"}), progress="true")
    assert first == {"Name": "a", "Bytes": 4}
    assert second["Name"] == "a"


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


async def test_start__port_taken__names_the_setting(server: ContentServer) -> None:
    taken = int(server.api_url.rpartition(":")[2])
    other = ContentServer(MemoryStore(), api_port=0, gateway_port=taken)
    with pytest.raises(SettingError, match=r"gateway_port.*taken") as caught:
        await other.start()
    assert caught.value.setting == "gateway_port"
