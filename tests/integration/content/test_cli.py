"""The `content` commands as a user types them, in processes of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from decentralized_vllm.content.importer import cid_of_bytes
from tests.support.cid_vectors import load_vectors, write_sample
from tests.support.content_process import COMMAND, serving
from tests.support.trees import contents

VECTORS = load_vectors()["cids"]
TIMEOUT_S = 60


def run(
    *arguments: object, stdin: bytes = b"", fails: bool = False
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def run_json(*arguments: object, stdin: bytes = b"") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(*arguments, "--json", stdin=stdin).stdout)
    return answer


def test_add__file_folder_and_stdin__print_their_cids(tmp_path: Path) -> None:
    store = tmp_path / "store"
    tree = write_sample("tree", tmp_path)
    answer = run_json("add", tree, "-", "--store", store, stdin=b"a prompt")
    assert [entry["cid"] for entry in answer["added"]] == [
        VECTORS["tree"]["v1"],
        cid_of_bytes(b"a prompt"),
    ]
    plain = run("add", tree, "--profile", "v0", "--store", store).stdout.decode()
    assert plain == f"{VECTORS['tree']['v0']}  {tree}\n"
    assert len(run_json("pin", "--store", store)["pins"]) == 3


def test_add_only_hash__folder__needs_no_store(tmp_path: Path) -> None:
    tree = write_sample("tree2", tmp_path)
    answer = run_json("add", "--only-hash", tree, "--store", tmp_path / "none")
    assert answer["added"][0]["cid"] == VECTORS["tree2"]["v1"]
    assert not (tmp_path / "none").exists()


def test_add__one_path_of_several_is_none__names_what_is_stored(tmp_path: Path) -> None:
    store, there = tmp_path / "store", tmp_path / "there"
    there.write_bytes(b"a prompt")
    done = run("add", there, tmp_path / "nothing", "--store", store, fails=True)
    cid = cid_of_bytes(b"a prompt")
    assert done.stdout.decode() == f"{cid}  {there}\n"
    assert run_json("pin", "--store", store)["pins"] == [cid]


def test_gc__what_no_pin_keeps__is_deleted_and_counted(tmp_path: Path) -> None:
    where = ["--store", tmp_path / "store"]
    kept = run_json("add", "-", *where, stdin=b"kept")["added"][0]["cid"]
    left = run_json("add", "-", *where, stdin=b"left alone")["added"][0]["cid"]
    run("pin", "--remove", left, *where)
    assert run_json("gc", *where) == {"deleted": 1, "freed_bytes": 10, "kept_bytes": 4}
    assert run("cat", kept, *where).stdout == b"kept"
    assert b"is not here" in run("cat", left, *where, fails=True).stderr
    assert run("gc", *where).stdout == b"0 blocks deleted, 0 bytes freed; 4 bytes kept\n"


def test_reads__stored_tree__cat_ls_get_pin(tmp_path: Path) -> None:
    where = ["--store", tmp_path / "store"]
    tree = write_sample("tree", tmp_path)
    cid = run_json("add", tree, *where)["added"][0]["cid"]
    assert run("cat", f"{cid}/a/x", *where).stdout == (tree / "a" / "x").read_bytes()
    entries = {entry["name"]: entry for entry in run_json("ls", cid, *where)["entries"]}
    assert entries["model.safetensors"]["bytes"] == 1_000_000
    assert entries["a"]["bytes"] is None
    run("get", cid, "-o", tmp_path / "copy", *where)
    assert contents(tmp_path / "copy") == contents(tree)
    run("pin", "--remove", cid, *where)
    assert run_json("pin", *where)["pins"] == []


def test_serve__other_commands_and_stores__use_it(tmp_path: Path) -> None:
    tree = write_sample("tree2", tmp_path)
    with serving(tmp_path / "served") as (urls, process):
        cid = run_json("add", tree, "--api", urls["api_url"])["added"][0]["cid"]
        assert cid == VECTORS["tree2"]["v1"]
        assert run_json("pin", "--api", urls["api_url"])["pins"] == [cid]
        own = ["--store", tmp_path / "own", "--gateway", urls["gateway_url"]]
        run("get", cid, "-o", tmp_path / "copy", *own)
        run("pin", cid, *own)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
        assert process.stderr is not None and process.stderr.read() == b""
    assert contents(tmp_path / "copy") == contents(tree)
    assert run_json("pin", "--store", tmp_path / "own")["pins"] == [cid]


def test_serve__ctrl_c__ends_cleanly_and_frees_the_store(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, process):
        held = run("pin", "--store", tmp_path, fails=True).stderr.decode()
        assert held.startswith("Error: --store: another process has opened")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
    run("pin", "--store", tmp_path)


@pytest.mark.parametrize("flag", ["--api-port", "--gateway-port"])
def test_serve__port_taken__names_the_flag(tmp_path: Path, flag: str) -> None:
    ports = {"--api-port": "0", "--gateway-port": "0"}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports[flag] = str(taken.getsockname()[1])
        arguments = [part for pair in ports.items() for part in pair]
        message = run("serve", *arguments, "--store", tmp_path, fails=True).stderr.decode()
    assert f"{flag}: 127.0.0.1:{ports[flag]} is taken by another program" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "{tmp}/nothing"], "nothing: No such file or directory"),
        (["cat", "QmPromptHash123"], "is not a CID"),
        (["cat", cid_of_bytes(b"absent")], "is not here"),
        (["ls", "{file}"], "is a file, not a directory"),
        (["cat", "{file}", "--max-bytes", "3"], "more than 3 bytes"),
        (["get", "{file}", "-o", "{tmp}"], "exists already"),
        (["pin", cid_of_bytes(b"absent")], "is not here"),
        (["pin", "--api", "http://127.0.0.1:1"], "give either --store or --api"),
        (["cat", "{file}", "--gateway", "http://127.0.0.1:1", "--max-bytes", "x"], "max-bytes"),
    ],
)
def test_bad_input__any_command__is_one_clear_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    store = tmp_path / "store"
    cid = run_json("add", "-", "--store", store, stdin=b"four")["added"][0]["cid"]
    filled = [a.replace("{tmp}", str(tmp_path)).replace("{file}", cid) for a in arguments]
    assert message in run(*filled, "--store", store, fails=True).stderr.decode()


def test_unreachable_api__any_command__says_so() -> None:
    message = run("pin", "--api", "http://127.0.0.1:1", fails=True).stderr.decode()
    assert "http://127.0.0.1:1 cannot be read" in message


@pytest.mark.parametrize("url", ["http://[::1", "ftp://127.0.0.1", "127.0.0.1:5001", "http://:80"])
def test_api_that_is_no_url__any_command__names_the_flag(url: str) -> None:
    message = run("pin", "--api", url, fails=True).stderr.decode()
    assert message == "Error: --api: is not an http(s) URL\n"


@pytest.mark.parametrize("command", ["add", "cat", "get", "pin", "ls", "gc", "serve"])
def test_help__every_command__has_an_example(command: str) -> None:
    assert f"dvllm content {command}" in run(command, "--help").stdout.decode()


def test_import__cid_alone__loads_neither_aiohttp_nor_sqlalchemy() -> None:
    program = (
        "import sys, decentralized_vllm.content.cid, decentralized_vllm.content.cli\n"
        "print({'aiohttp', 'sqlalchemy', 'asyncio', 'web3', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"set()\n"


def test_add__on_a_terminal__shows_progress_beside_the_answer(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    (tmp_path / "weights").write_bytes(bytes(20_000_000))
    terminal, stderr = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "add", str(tmp_path / "weights"), "--store", str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=TIMEOUT_S,
        check=True,
    )
    os.close(stderr)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert "adding weights" in shown
    assert done.stdout.decode() == f"{cid_of_bytes(bytes(20_000_000))}  {tmp_path / 'weights'}\n"


def test_cat__reader_that_has_enough__is_no_error(tmp_path: Path) -> None:
    """As `dvllm content cat CID | head` is."""
    store, file = tmp_path / "store", tmp_path / "file"
    file.write_bytes(os.urandom(4_000_000))
    cid = run_json("add", file, "--store", store)["added"][0]["cid"]
    with subprocess.Popen(
        [*COMMAND, "cat", cid, "--store", str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        assert len(writer.stdout.read(10)) == 10
        writer.stdout.close()
        assert writer.stderr.read() == b""


def test_get__into_the_folder_it_stands_in__names_the_flag(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (answer,) = run_json("add", "-", "--store", store, stdin=b"x")["added"]
    for output in (".", "/"):
        refused = run("get", answer["cid"], "-o", output, "--store", store, fails=True)
        assert refused.stderr.startswith(b"Error: --output: /")
        assert b"exists already" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_add__name_that_is_no_text__is_shown_with_a_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # as where the language is set
    file = tmp_path / os.fsdecode(b"caf\xe9")
    file.write_bytes(b"x")
    shown = run("add", "--only-hash", file).stdout.decode()
    assert shown == f"{cid_of_bytes(b'x')}  {tmp_path}/caf\N{REPLACEMENT CHARACTER}\n"
