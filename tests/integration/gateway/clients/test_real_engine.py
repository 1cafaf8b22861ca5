"""OpenAI's client, a gateway, a chain, a worker and vLLM: nothing between them is made up."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.anvil import running_anvil
from tests.support.clients.programs import told_by_python
from tests.support.engines import vllm_python
from tests.support.gateway_process import gateway_process
from tests.support.known_nodes import node_is_known
from tests.support.task_network import fund_gateway
from tests.support.worker_network import MODEL_ID, TERMS, worker_network

LONG_LEASE = replace(TERMS, lease_s=240, open_s=60)
START_PATIENCE_S = 240.0  # vLLM takes half a minute to start on two idle cores


@pytest.mark.long
@pytest.mark.vllm
@pytest.mark.timeout(600)
async def test_openai_for_python__call_forced_out_of_a_real_model(tmp_path: Path) -> None:
    engine = {"kind": "vllm", "python": str(vllm_python()), "dtype": "float32", "threads": 1}
    with running_anvil() as anvil:
        async with worker_network(anvil, tmp_path, LONG_LEASE) as net:
            await fund_gateway(net)
            with net.worker(engine=engine) as worker, gateway_process(net) as gateway:
                await net.enlist(worker)
                worker.start()
                await worker.logged("on duty", patience_s=START_PATIENCE_S)
                gateway.start()
                await gateway.ready()
                await node_is_known(gateway)
                key = await gateway.make_key("client", credit="100")
                url = f"{gateway.unified_url}/v1"
                told = await told_by_python("openai_forced_tool.py", url, key, str(MODEL_ID))
    assert told == {
        "called": ["tool_calls", "get_weather", ["city", "is_warm"]],
        "streamed": ["city", "is_warm"],
        "answered": True,
        "chosen": "tools",  # no parser is named for this model
    }
