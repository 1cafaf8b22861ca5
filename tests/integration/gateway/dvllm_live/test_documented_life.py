"""The documented API over the real thing: what the document sends, and what comes back."""

import asyncio
import json
import shutil
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.protocol.authorizations import (
    Authorization,
    AuthorizationKind,
    authorization_message,
)
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import tokens
from tests.support import documented_dvllm as documented
from tests.support.anvil import development_account
from tests.support.documented_dvllm import check_shape
from tests.support.dvllm_live import OPERATOR, Live
from tests.support.gateway_process import GATEWAY_KEY
from tests.support.local_network import sending
from tests.support.worker_network import MODEL_ID

WALLET = development_account(8)
SUBMIT = {**documented.SUBMIT, "modelId": MODEL_ID}


async def test_documented_api__a_task_from_submit_to_answer(live: Live) -> None:
    key = await live.gateway.make_key("asker", credit="10")
    await live.until(lambda: live.get("/api/models"), lambda b: b["models"], "the model")
    async with live.session.ws_connect(live.gateway.dvllm_ws_url) as socket:
        await socket.send_json({"type": "auth", "token": key})
        assert (await socket.receive_json(timeout=10))["type"] == "auth_ok"

        status, submitted = await live.post("/api/tasks/submit", SUBMIT, key)
        assert status == 200, submitted
        check_shape(submitted, documented.SUBMITTED)
        parse_cid(submitted["promptCID"])
        path = f"/api/tasks/{submitted['taskId']}"
        task = await live.until(
            lambda: live.get(path, key), lambda b: b["status"] == "completed", "the answer"
        )
        check_shape(task, documented.TASK)
        assert task["jobId"] == submitted["jobId"]
        assert task["worker"] == live.worker.address
        assert task["prompt"] == SUBMIT["prompt"]
        times = [task["timing"][name] for name in ("submitted", "started", "completed")]
        assert times == sorted(times)

        frames = {}
        async with asyncio.timeout(10):
            while "task_completed" not in frames:
                frame = await socket.receive_json()
                frames[frame["type"]] = frame
        assert frames.keys() >= {"task_submitted", "task_started", "task_completed"}
        for kind in ("task_submitted", "task_completed"):
            check_shape(frames[kind]["data"], documented.EVENTS[kind])
        assert frames["task_completed"]["data"]["response"] == task["response"]

    status, tasks = await live.get("/api/tasks?status=completed", key)
    check_shape(tasks, documented.TASKS)
    assert [item["taskId"] for item in tasks["tasks"]] == [submitted["taskId"]]
    status, credit = await live.get("/api/credit", key)
    assert status == 200
    assert 9 * 10**18 < int(credit["availableWei"]) < 10**19
    assert int(credit["reservedWei"]) == 0
    _, again = await live.post("/api/tasks/submit", SUBMIT, key)
    assert 1 <= again["estimatedTime"] <= 60


async def test_documented_api__the_node_behind_it__is_shown_and_allotted(live: Live) -> None:
    operator = await live.gateway.make_key(OPERATOR, "read", "node")
    status = await live.until(
        lambda: live.get("/api/status"),
        lambda b: b["status"] == "healthy" and b["network"]["peers"] == 1,
        "a healthy gateway with its peer",
    )
    check_shape(status, documented.STATUS)
    assert status["network"]["blockNumber"] > 0
    assert 0 < status["resources"]["memory"] < 100
    _, peers = await live.get("/api/peers")
    check_shape(peers, documented.PEERS)
    assert peers["peers"][0]["id"] == live.worker.address
    assert peers["peers"][0]["address"] == f"127.0.0.1:{live.worker.port}"
    assert peers["peers"][0]["connected"] is True

    _, models = await live.get("/api/models")
    check_shape(models, documented.MODELS)
    assert models["models"][0]["id"] == MODEL_ID
    assert models["models"][0]["cid"] == live.net.model.model_cid

    _, resources = await live.get("/api/resources", operator)
    check_shape(resources, documented.RESOURCES)
    wish = {"cpu": 50, "memory": 50}
    status, changed = await live.post("/api/resources", wish, operator)
    assert status == 200, changed
    check_shape(changed, documented.RESOURCES)
    assert changed["allocation"] == {**resources["allocation"], **wish}
    await live.slots_on_chain(32)

    status, refused = await live.post("/api/resources", {"gpu": 100}, operator)
    if resources["limits"]["gpu"] == 0:
        assert (status, refused["error"]["code"]) == (503, "E002")

    live.worker.terminate()
    await live.worker.ended()
    status = await live.until(
        lambda: live.get("/api/status"), lambda b: b["network"]["peers"] == 0, "the loss"
    )
    status, gone = await live.get("/api/resources", operator)
    assert (status, gone["error"]["code"]) == (502, "E001")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_documented_api__curl_lines__as_they_stand(live: Live) -> None:
    key = await live.gateway.make_key("asker", credit="10")
    url = live.gateway.dvllm_url

    async def curl(*arguments: str) -> tuple[int, dict[str, object]]:
        process = await asyncio.create_subprocess_exec(
            "curl",
            "-s",
            "-w",
            "\n%{http_code}",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        body, _, status = out.decode().rpartition("\n")
        return int(status), json.loads(body)

    bearer, kind = f"Authorization: Bearer {key}", "Content-Type: application/json"
    status, body = await curl("-H", bearer, "-H", kind, f"{url}/api/status")
    assert status == 200
    status, body = await curl("-H", bearer, f"{url}/api/tasks")
    assert (status, body) == (200, {"tasks": [], "total": 0})
    status, body = await curl(
        "-H", bearer, "-H", kind, "-d", json.dumps(SUBMIT), f"{url}/api/tasks/submit"
    )
    assert status == 200, body
    check_shape(body, documented.SUBMITTED)


async def test_documented_api__a_wallets_signature__is_its_account(live: Live) -> None:
    headers = live.signed(WALLET, "GET", "/api/tasks?limit=5")
    assert await live.call("GET", "/api/tasks?limit=5", headers=headers) == (
        200,
        {"tasks": [], "total": 0},
    )
    status, body = await live.call("GET", "/api/tasks?limit=5", headers=headers)
    assert (status, body["error"]["code"]) == (401, "E006")
    other = live.signed(WALLET, "GET", "/api/tasks?limit=6")
    status, body = await live.call("GET", "/api/tasks?limit=5", headers=other)
    assert (status, body["error"]["code"]) == (401, "E006")


async def credit_of(live: Live, account: LocalAccount) -> dict[str, Any]:
    headers = live.signed(account, "GET", "/api/credit")
    status, body = await live.call("GET", "/api/credit", headers=headers)
    assert status == 200, body
    return dict(body)


async def test_documented_api__a_wallet_pays_in__by_transfer_and_by_signature(live: Live) -> None:
    network = live.net.network
    await live.net.give_tokens(Address(WALLET.address), tokens(5))
    payee = (await credit_of(live, WALLET))["payee"]
    assert payee == GATEWAY_KEY.address

    async with sending(network, WALLET, live.net.folder) as sender:
        await sender.send(network.token.transfer(payee, tokens(2)), key="deposit")
        await sender.wait("deposit")
    async with asyncio.timeout(30):
        while (await credit_of(live, WALLET))["available"] != "2":  # noqa: ASYNC110 - of a process
            await asyncio.sleep(0.1)

    authorization = Authorization(
        AuthorizationKind.RECEIVE,
        Address(WALLET.address),
        payee,
        tokens(1),
        valid_after_s=0,
        valid_before_s=await network.jobs.chain_time_s() + 600,
        nonce=b"\x07" * 32,
    )
    message = authorization_message(await network.token.domain(), authorization)
    signature = WALLET.sign_message(message).signature
    body = {
        "authorization": {
            "type": "ReceiveWithAuthorization",
            "from": WALLET.address,
            "to": payee,
            "value": str(tokens(1)),
            "validAfter": 0,
            "validBefore": authorization.valid_before_s,
            "nonce": "0x" + "07" * 32,
        },
        "signature": "0x" + signature.hex().removeprefix("0x"),
    }
    key = await live.gateway.make_key("somebody", "read")
    status, paid = await live.post("/api/credit/top-ups", body, key)
    assert (status, paid["status"], paid["amount"]) == (201, "credited", "1"), paid
    check_shape(paid, documented.TOPPED_UP)
    assert paid["account"] == WALLET.address.lower()
    assert (await credit_of(live, WALLET))["available"] == "3"
    assert (await live.post("/api/credit/top-ups", body, key))[1] == paid
    assert (await credit_of(live, WALLET))["available"] == "3"
