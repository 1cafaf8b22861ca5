"""What the `content` commands do."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.cli_progress import transfer_progress
from decentralized_vllm.content.cli_store import (
    Writable,
    open_readable,
    open_writable,
    store_path,
)
from decentralized_vllm.content.importer import cid_of_bytes, cid_of_path
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.nodes import FileNode
from decentralized_vllm.content.profiles import profile_named
from decentralized_vllm.protocol.errors import DvllmError, PermanentError
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import ContentLimits

_STDIN = Path("-")
_PORT_FLAGS = ("--api-port", "--gateway-port")


def run(action: Coroutine[Any, Any, None]) -> None:
    """Errors of the library become one line on standard error and exit code 1."""
    try:
        asyncio.run(action)
    except DvllmError as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        raise  # a reader such as `head` has enough, which click takes for an end and no error
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'the system'}: {error.strerror}") from error


async def add(
    paths: Sequence[Path],
    *,
    profile: str,
    only_hash: bool,
    store: Path | None,
    api: str | None,
    as_json: bool,
) -> None:
    added = []
    async with AsyncExitStack() as stack:
        opened = None if only_hash else open_writable(store, api, profile=profile)
        writable = None if opened is None else await stack.enter_async_context(opened)
        for path in paths:
            cid = _hash_only(path, profile) if writable is None else await _add_one(writable, path)
            added.append({"cid": cid, "path": str(path)})
            if not as_json:  # at once: the next path may be none, and this one is stored
                click.echo(f"{cid}  {click.format_filename(path)}")
    if as_json:
        _print_json({"added": added, "profile": profile})


def _hash_only(path: Path, profile: str) -> Cid:
    chosen = profile_named(profile)
    if path == _STDIN:
        return cid_of_bytes(_standard_input(), chosen)
    return cid_of_path(path, chosen)


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise PermanentError("the standard input is closed")
    return sys.stdin.buffer.read()


async def _add_one(store: Writable, path: Path) -> Cid:
    if path == _STDIN:
        return await store.add_bytes(_standard_input())
    with transfer_progress(f"adding {path.name}") as progress:
        return await store.add_path(path, progress=progress)


async def cat(
    path: str,
    *,
    gateways: Sequence[str],
    max_bytes: int,
    store: Path | None,
    api: str | None,
    as_json: bool,
) -> None:
    async with open_readable(store, api, gateways) as readable:
        cid = (await readable.resolve(path)).text()
        limits = ContentLimits(max_bytes=max_bytes)
        if as_json:
            text = b"".join([piece async for piece in readable.stream(cid, limits=limits)])
            _print_json({"cid": cid, "text": text.decode(errors="replace")})
            return
        async for piece in readable.stream(cid, limits=limits):
            click.echo(piece, nl=False)


async def get(
    path: str,
    output: Path | None,
    *,
    gateways: Sequence[str],
    max_bytes: int,
    store: Path | None,
    api: str | None,
    as_json: bool,
) -> None:
    async with open_readable(store, api, gateways) as readable:
        cid = (await readable.resolve(path)).text()
        target = output or Path(path.rstrip("/").rpartition("/")[2])
        limits = ContentLimits(max_bytes=max_bytes)
        with transfer_progress(f"getting {target.name}") as progress:
            await readable.fetch_tree(
                cid, target, limits=limits, progress=progress, setting="--output"
            )
    _say(as_json, {"cid": cid, "path": str(target)}, f"{cid}  {click.format_filename(target)}")


async def pin(
    cids: Sequence[str],
    *,
    remove: bool,
    gateways: Sequence[str],
    store: Path | None,
    api: str | None,
    as_json: bool,
) -> None:
    if not cids:
        async with open_writable(store, api) as writable:
            pins = await writable.pins()
    else:
        pins = [parse_cid(cid).text() for cid in cids]
        async with open_readable(store, api, gateways) as readable:
            for cid in pins:
                if remove:
                    await readable.unpin(cid)
                else:
                    await readable.pin(cid)
    key = "unpinned" if remove and cids else "pins"
    _say(as_json, {key: pins}, "\n".join(pins))


async def ls(
    path: str,
    *,
    gateways: Sequence[str],
    store: Path | None,
    api: str | None,
    as_json: bool,
) -> None:
    entries = []
    async with open_readable(store, api, gateways) as readable:
        cid = await readable.resolve(path)
        for entry in (await readable.list_directory(cid.text())).entries:
            node = await readable.load(entry.cid)
            size = node.file_bytes if isinstance(node, FileNode) else None
            entries.append({"name": entry.name, "cid": entry.cid.text(), "bytes": size})
    lines = (
        f"{entry['cid']}  {'-' if entry['bytes'] is None else entry['bytes']:>12}  {entry['name']}"
        for entry in entries
    )
    _say(as_json, {"cid": cid.text(), "entries": entries}, "\n".join(lines))


async def gc(*, store: Path | None, as_json: bool) -> None:
    async with LocalStore(store_path(store), setting="--store") as local:
        before = await local.usage()
        deleted = await local.collect_garbage()
        after = await local.usage()
    freed_bytes = before.n_bytes - after.n_bytes
    told = {"deleted": len(deleted), "freed_bytes": freed_bytes, "kept_bytes": after.n_bytes}
    text = f"{len(deleted)} blocks deleted, {freed_bytes} bytes freed; {after.n_bytes} bytes kept"
    _say(as_json, told, text)


async def serve(api_port: int, gateway_port: int, *, store: Path | None, as_json: bool) -> None:
    """Until SIGINT or SIGTERM."""
    from decentralized_vllm.content.server.listeners import ContentServer

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    path = store_path(store)
    async with LocalStore(path, setting="--store") as local:
        server = ContentServer(
            local, api_port=api_port, gateway_port=gateway_port, settings=_PORT_FLAGS
        )
        async with server:
            urls = {"api_url": server.api_url, "gateway_url": server.gateway_url}
            text = (
                f"store    {path}\nAPI      {server.api_url}\ngateway  {server.gateway_url}/ipfs/"
            )
            _say(as_json, {**urls, "store": str(path)}, f"{text}\nCtrl-C ends it.")
            await stop.wait()


def _say(as_json: bool, value: dict[str, Any], text: str) -> None:
    if as_json:
        _print_json(value)
    elif text:
        click.echo(text)


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value))
