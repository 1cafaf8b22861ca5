"""Calls for several choices: all of their tasks begin, or none."""

from tests.integration.gateway.process.test_gateway import call, finished
from tests.support.gateway_process import GatewayProcess
from tests.support.worker_network import MODEL_ID
from tests.support.worker_process import WorkerProcess

CHAT = {"model": MODEL_ID, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}


async def test_choices__credit_for_some_of_them__refused_and_nothing_is_charged(
    gateway: GatewayProcess, worker: WorkerProcess
) -> None:
    key = await gateway.make_key("poor", credit="0.07")
    url = f"{gateway.unified_url}/v1/chat/completions"
    status, refused, _ = await call("POST", url, key, json={**CHAT, "n": 8})
    assert status == 402, refused
    _, listed, _ = await call("GET", f"{gateway.dvllm_url}/api/tasks", key)
    assert listed["tasks"] == []

    status, answer, _ = await call("POST", url, key, json={**CHAT, "n": 2})
    assert status == 200, answer
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    _, listed, _ = await call("GET", f"{gateway.dvllm_url}/api/tasks", key)
    assert len(listed["tasks"]) == 2
    for task in listed["tasks"]:
        assert (await finished(gateway, key, task["taskId"]))["status"] == "completed"
