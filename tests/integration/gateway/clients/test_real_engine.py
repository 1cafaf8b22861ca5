"""OpenAI's client, a gateway, a chain, a worker and vLLM: nothing between them is made up."""

from pathlib import Path

import pytest

from tests.support.anvil import running_anvil
from tests.support.clients.programs import told_by_python
from tests.support.real_model_network import LONG_LEASE, gateway_before
from tests.support.worker_network import MODEL_ID, worker_network


@pytest.mark.long
@pytest.mark.vllm
@pytest.mark.timeout(600)
async def test_openai_for_python__call_forced_out_of_a_real_model(tmp_path: Path) -> None:
    engine = {"kind": "vllm", "dtype": "float32", "threads": 1}
    with running_anvil() as anvil:
        async with (
            worker_network(anvil, tmp_path, LONG_LEASE) as net,
            gateway_before(net, engine) as (gateway, _),
        ):
            key = await gateway.make_key("client", credit="100")
            url = f"{gateway.unified_url}/v1"
            told = await told_by_python("openai_forced_tool.py", url, key, str(MODEL_ID))
    assert told == {
        "called": ["tool_calls", "get_weather", ["city", "is_warm"]],
        "streamed": ["city", "is_warm"],
        "answered": True,
        "chosen": "tools",  # no parser is named for this model
    }
