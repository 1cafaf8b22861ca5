"""`add` over a real socket: the CIDs, and what is refused."""

from pathlib import Path

import aiohttp
import pytest

from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.profiles import PROFILES
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.content.store import PinningStore
from tests.support.cid_vectors import load_vectors, sample_bytes, write_sample
from tests.support.rpc import Rpc, form, tree_form

VECTORS = load_vectors()["cids"]


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


async def test_add__no_multipart_or_a_link__is_refused(
    server: ContentServer, http: aiohttp.ClientSession, rpc: Rpc
) -> None:
    async with http.post(f"{server.api_url}/api/v0/add", data=b"plain") as response:
        assert response.status == 400
    link = aiohttp.FormData()
    link.add_field("file", b"/etc/passwd", filename="x", content_type="application/symlink")
    assert await rpc.error("add", link) == (400, "symbolic links are not supported")


PART = b'--abc\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhel'


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=abc"])
@pytest.mark.parametrize("body", [b"", b"x", PART, PART[:30], b"--abc\r\nno header\r\n\r\nx"])
async def test_add__broken_or_cut_multipart__is_refused(
    server: ContentServer, http: aiohttp.ClientSession, store: PinningStore, kind: str, body: bytes
) -> None:
    headers = {"Content-Type": kind}
    async with http.post(f"{server.api_url}/api/v0/add", data=body, headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["Message"] == "the multipart body is broken or cut off"
    assert await store.pins() == []


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
