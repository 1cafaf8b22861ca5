"""Tools over /v1: what the node signed is what the caller is told."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from decentralized_vllm.protocol.generation import FinishReason
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.jobs import JobStatus
from tests.support.gateway_process import gateway_process
from tests.support.known_nodes import node_is_known
from tests.support.worker_network import MODEL_ID, WorkerNetwork
from tests.support.worker_process import WorkerProcess

BODY: Mapping[str, Any] = {
    "model": str(MODEL_ID),
    "messages": [{"role": "user", "content": "Count with me"}],
    "tools": [{"type": "function", "function": {"name": "count", "parameters": {}}}],
}


async def test_chat__with_a_tool__whole_and_streamed_as_signed(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    with gateway_process(net) as gateway:
        gateway.start()
        await gateway.ready()
        await node_is_known(gateway)
        key = await gateway.make_key("caller", credit="50")
        url = f"{gateway.unified_url}/v1/chat/completions"
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
            async with http.post(url, json=BODY) as reply:
                (choice,) = (await reply.json())["choices"]
                job_id = JobId(int(reply.headers["X-Dvllm-Job-Id"]))
                assert reply.status == 200
            async with http.post(url, json={**BODY, "stream": True}) as reply:
                events = [line async for line in reply.content if line.startswith(b"data: {")]
    await net.reaches(job_id, JobStatus.DELIVERED)
    signed = await net.answer(job_id)
    (call,) = signed.tool_calls
    assert (signed.text, signed.finish_reason) == ("", FinishReason.TOOL_CALLS)
    assert json.loads(call.arguments) == {"words": ["Count", "with", "me"]}
    told = {"name": "count", "arguments": call.arguments}
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": call.id, "type": "function", "function": told}
    ]
    deltas = [json.loads(event[6:])["choices"][0] for event in events]
    (streamed,) = [d["delta"]["tool_calls"] for d in deltas if "tool_calls" in d["delta"]]
    assert [(each["index"], each["function"]) for each in streamed] == [(0, told)]
    assert deltas[-1]["finish_reason"] == "tool_calls"
