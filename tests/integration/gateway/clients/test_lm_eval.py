"""lm-eval's chat client, with a task of three lines that needs no hub."""

import json

import pytest

from tests.integration.gateway.clients.conftest import Served
from tests.support.clients.programs import HERE, LM_EVAL, installed, run

TASKS = HERE / "lm_eval_task"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_lm_eval__chat_task__scores_what_the_network_answered(served: Served, tmp_path):
    program = installed(LM_EVAL / "lm_eval", ".venv-lm-eval")
    asked = f"model={served.model},base_url={served.v1}/chat/completions,num_concurrent=1"
    await run(
        str(program),
        *("--model", "local-chat-completions", "--model_args", asked),
        *("--include_path", str(TASKS), "--tasks", "dvllm_echo", "--apply_chat_template"),
        *("--output_path", str(tmp_path / "scores")),
        cwd=TASKS,
        timeout_s=360,
        OPENAI_API_KEY=served.key,
        HF_HOME=str(tmp_path / "hub"),
    )
    (report,) = (tmp_path / "scores").rglob("results_*.json")
    scores = json.loads(report.read_text())["results"]["dvllm_echo"]
    assert scores["exact_match,none"] == pytest.approx(2 / 3)
