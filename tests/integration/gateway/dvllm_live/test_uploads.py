"""Model uploads end to end: signed by the registry's owner, stored, registered, then sold."""

import asyncio
import contextlib
import io
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from decentralized_vllm.content.importer import cid_of_path
from decentralized_vllm.protocol.ids import Address, Cid
from decentralized_vllm.protocol.request_auth import form_digest
from decentralized_vllm.protocol.transactions import Call
from dvllm_devnet.models.tiny import tiny_model
from tests.support.anvil import Anvil, development_account
from tests.support.big_model import big_model, peak_rss_bytes
from tests.support.dvllm_live import Live, live_network
from tests.support.engines import MODEL_CACHE
from tests.support.local_network import OWNER, sending

PATH = "/api/models/upload"
TEXTS = {"modelId": "custom-model", "name": "My model", "description": "for tasks"}
STRANGER = development_account(8)


def other_model() -> tuple[Path, Cid]:
    path = tiny_model(MODEL_CACHE, seed=1)
    return path, cid_of_path(path)


def form(folder: Path) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in TEXTS.items():
        data.add_field(name, value)
    for path in sorted(folder.iterdir()):
        data.add_field("file", io.BytesIO(path.read_bytes()), filename=path.name)
    return data


async def upload(live: Live, folder: Path, cid: Cid, account: Any = OWNER) -> tuple[int, Any]:
    headers = live.signed(account, "POST", PATH, form_digest(TEXTS, cid))
    return await live.call("POST", PATH, data=form(folder), headers=headers)


async def listed(live: Live) -> dict[str, Any]:
    def holds(body: Any) -> bool:
        return any(model["id"] == TEXTS["modelId"] for model in body["models"])

    body = await live.until(lambda: live.get("/api/models"), holds, "the new model")
    return next(model for model in body["models"] if model["id"] == TEXTS["modelId"])


async def test_upload__owner_is_another_key__stored_and_left_to_sign(live: Live) -> None:
    folder, cid = await asyncio.to_thread(other_model)

    status, body = await upload(live, folder, cid, STRANGER)
    assert (status, body["error"]["code"]) == (403, "E007")
    status, body = await upload(live, folder, Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3"))
    assert (status, body["error"]["code"]) == (401, "E006")
    assert not await live.net.store.has_block(cid)

    status, body = await upload(live, folder, cid)
    assert (status, body["status"], body["cid"]) == (201, "awaiting_signature", cid)
    assert cid in await live.net.store.pins()
    waiting = body["transaction"]
    assert waiting["chainId"] == live.net.network.identity.chain_id

    call = Call(Address(waiting["to"]), bytes.fromhex(waiting["data"][2:]), "the owner's own")
    async with sending(live.net.network, OWNER, live.net.folder) as sender:
        await sender.send(call, key="upload")
        await sender.wait("upload")
    model = await listed(live)
    assert (model["cid"], model["name"], model["active"]) == (cid, "My model", True)
    assert list((live.gateway.folder / "data" / "uploads").iterdir()) == []


async def test_upload__gateway_has_the_owners_key__registered(anvil: Anvil, tmp_path: Path) -> None:
    folder, cid = await asyncio.to_thread(other_model)
    async with live_network(anvil, tmp_path, key=OWNER) as live:
        status, body = await upload(live, folder, cid)
        assert (status, body["status"], body["transaction"]) == (201, "registered", None)
        receipt = await live.net.anvil.acall("eth_getTransactionReceipt", body["transactionHash"])
        assert receipt["status"] == "0x1"
        assert (await listed(live))["cid"] == cid

        status, again = await upload(live, folder, cid)
        assert (status, again["error"]["code"]) == (409, "E012")


@pytest.mark.long
async def test_upload__a_gigabyte__in_little_memory(live: Live, tmp_path: Path) -> None:
    folder = await asyncio.to_thread(big_model, tmp_path / "large", 1 << 30)
    cid = await asyncio.to_thread(cid_of_path, folder)
    data = aiohttp.FormData()
    for name, value in TEXTS.items():
        data.add_field(name, value)
    with contextlib.ExitStack() as files:
        for path in sorted(folder.iterdir()):
            file = files.enter_context(path.open("rb"))
            data.add_field("file", file, filename=path.name)
        headers = live.signed(OWNER, "POST", PATH, form_digest(TEXTS, cid))
        options = {"headers": headers, "timeout": aiohttp.ClientTimeout(total=280)}
        work = asyncio.create_task(live.call("POST", PATH, data=data, **options))
        assert live.gateway.process is not None
        peak = await peak_rss_bytes(psutil.Process(live.gateway.process.pid), work)
    status, body = work.result()
    assert (status, body["cid"]) == (201, cid), body
    assert peak < 200 << 20, f"{peak >> 20} MiB"
