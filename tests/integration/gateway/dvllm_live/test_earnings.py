"""What the operator's node earns is told on the socket, as the chain has it."""

import asyncio
from typing import Any

from tests.support import documented_dvllm as documented
from tests.support.dvllm_live import Live
from tests.support.local_network import OWNER, sending
from tests.support.worker_network import MODEL_ID

A_MONTH_S = 30 * 24 * 3600
SUBMIT = {**documented.SUBMIT, "modelId": MODEL_ID}


async def heard(socket: Any, total_wei: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            frame = await socket.receive_json()
            if int(frame["data"]["totalWei"]) == total_wei:
                return dict(frame)


async def pending_wei(live: Live) -> int:
    return (await live.net.network.coordinator.node(live.worker.address)).pending_earnings_wei


async def answered(live: Live, key: str) -> None:
    status, submitted = await live.post("/api/tasks/submit", SUBMIT, key)
    assert status == 200, submitted
    await live.until(
        lambda: live.get(f"/api/tasks/{submitted['taskId']}", key),
        lambda b: b["status"] == "completed",
        "the answer",
    )


async def matured(live: Live) -> None:
    network, anvil = live.net.network, live.net.anvil
    anvil.call("evm_increaseTime", A_MONTH_S)
    anvil.mine()
    async with sending(network, OWNER, live.net.folder) as sender:
        await sender.send(network.node_calls.settle(live.worker.address), key="settle")
        await sender.wait("settle")


async def test_earnings__of_a_job__are_told_with_the_chain_s_sum(live: Live) -> None:
    key = await live.gateway.make_key("asker", credit="10")
    await live.until(lambda: live.get("/api/models"), lambda b: b["models"], "the model")
    async with live.session.ws_connect(live.gateway.dvllm_ws_url) as socket:
        await socket.send_json({"type": "subscribe", "events": ["earnings_update"]})
        assert (await socket.receive_json(timeout=10))["type"] == "subscribed"
        await answered(live, key)
        first_wei = await pending_wei(live)
        frame = await heard(socket, first_wei)
        assert frame["type"] == "earnings_update"
        assert frame["data"]["total"] == first_wei / 10**18

        await matured(live)
        assert await pending_wei(live) == 0
        await answered(live, key)
        assert await heard(socket, first_wei + await pending_wei(live))
