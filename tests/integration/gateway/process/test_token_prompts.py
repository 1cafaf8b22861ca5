"""Completions of tokens, and with the prompt rated, over /v1: as signed, billed and refunded."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from decentralized_vllm.protocol.generation import Feature, PromptTokenLogprob, Usage
from decentralized_vllm.protocol.ids import Cid, JobId
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.prompts import parse_prompt
from tests.support.anvil import running_anvil
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.known_nodes import node_is_known
from tests.support.task_network import fund_gateway
from tests.support.worker_network import MODEL_ID, TERMS, WorkerNetwork, worker_network

TOKENS = [504, 7, 12]
BODY: Mapping[str, Any] = {"model": str(MODEL_ID), "max_tokens": 1, "echo": True, "logprobs": 1}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Caller:
    net: WorkerNetwork
    gateway: GatewayProcess
    http: aiohttp.ClientSession


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def caller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    """Of one network for all: nothing here changes it."""
    with running_anvil() as anvil:
        async with worker_network(anvil, tmp_path_factory.mktemp("net")) as net:
            await fund_gateway(net)
            with net.worker() as worker, gateway_process(net) as gateway:
                await net.enlist(worker)
                worker.start()
                await worker.on_duty()
                gateway.start()
                await gateway.ready()
                await node_is_known(gateway)
                key = await gateway.make_key("caller", credit="50")
                headers = {"Authorization": f"Bearer {key}"}
                url = f"{gateway.unified_url}/v1/"
                async with aiohttp.ClientSession(url, headers=headers) as http:
                    yield Caller(net, gateway, http)


async def completed(caller: Caller, prompt: Any, **fields: Any) -> Any:
    async with caller.http.post("completions", json={**BODY, "prompt": prompt, **fields}) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json(), reply.headers


async def streamed(caller: Caller, prompt: Any, **fields: Any) -> list[Any]:
    body = {**BODY, "prompt": prompt, "stream": True, **fields}
    async with caller.http.post("completions", json=body) as reply:
        lines = [line async for line in reply.content if line.startswith(b"data: {")]
    return [json.loads(line[6:])["choices"][0] for line in lines]


async def test_tokens__echo_and_logprobs__as_the_node_signed_and_no_token_billed_beside(
    caller: Caller,
) -> None:
    net = caller.net
    told, headers = await completed(caller, TOKENS)
    job_id = JobId(int(headers["X-Dvllm-Job-Id"]))
    await net.reaches(job_id, JobStatus.DELIVERED)
    assert told["choices"] == [
        {
            "index": 0,
            "text": "504 7 12504",
            "logprobs": {
                "tokens": ["504", " 7", " 12", "504"],
                "token_logprobs": [None, 0, 0, 0],
                "top_logprobs": [None, {" 7": 0}, {" 12": 0}, {"504": 0}],
                "text_offset": [0, 3, 5, 8],
            },
            "finish_reason": "length",
        }
    ]
    assert told["usage"] == {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    signed = await net.answer(job_id)
    assert (signed.text, signed.usage) == ("504", Usage(3, 1))
    assert signed.prompt_logprobs is not None
    assert signed.prompt_logprobs[0] == PromptTokenLogprob("504", None)
    prompt = parse_prompt(
        await net.store.read_bytes(Cid(headers["X-Dvllm-Prompt-Cid"]), max_bytes=1 << 20)
    )
    assert prompt.token_ids == tuple(TOKENS)
    assert prompt.features == {Feature.TOKEN_PROMPTS, Feature.LOGPROBS, Feature.PROMPT_LOGPROBS}


async def test_tokens__as_many_as_the_terms_allow__are_rated_all(caller: Caller) -> None:
    """More than a node tells in an event: the document is read where the node keeps it."""
    ids = [*range(TERMS.max_input_tokens)]
    told, _ = await completed(caller, ids, logprobs=5)
    (choice,) = told["choices"]
    assert choice["text"] == " ".join(map(str, ids)) + "0"
    assert choice["logprobs"]["token_logprobs"] == [None, *[0] * len(ids)]


async def test_tokens__several_prompts__are_a_job_each(caller: Caller) -> None:
    told, headers = await completed(caller, [[1, 2], [3]], echo=False, logprobs=None, max_tokens=2)
    assert [choice["text"] for choice in told["choices"]] == ["1 2", "3 3"]
    assert [choice["logprobs"] for choice in told["choices"]] == [None, None]
    assert told["usage"]["prompt_tokens"] == 3
    assert len(set(headers["X-Dvllm-Job-Id"].split(", "))) == 2


@pytest.mark.parametrize("prompt", [TOKENS, "504 7 12"], ids=["tokens", "text"])
@pytest.mark.parametrize("fields", [{}, {"logprobs": None}, {"max_tokens": 0}], ids=str)
async def test_echo__streamed__tells_the_same_as_whole(
    caller: Caller, prompt: Any, fields: Any
) -> None:
    whole, _ = await completed(caller, prompt, **fields)
    (expected,) = whole["choices"]
    choices = await streamed(caller, prompt, **fields)
    assert "".join(choice["text"] for choice in choices) == expected["text"]
    rated = [choice["logprobs"] for choice in choices if choice["logprobs"]]
    assert (rated or [None]) == [expected["logprobs"]]
    assert choices[-1]["finish_reason"] == expected["finish_reason"]


async def test_echo__alone__has_nothing_of_the_answer(caller: Caller) -> None:
    told, _ = await completed(caller, "one two", max_tokens=0)
    (choice,) = told["choices"]
    assert (choice["text"], choice["logprobs"]["tokens"]) == ("one two", ["one", " two"])
    assert choice["finish_reason"] == "length"


async def test_tokens__as_a_task__are_shown_as_what_they_are(
    caller: Caller,
) -> None:
    _, headers = await completed(caller, TOKENS)
    task_id = headers["X-Dvllm-Task-Id"]
    async with caller.http.get(f"{caller.gateway.unified_url}/api/tasks/{task_id}") as reply:
        assert reply.status == 200, await reply.text()
        assert "token ids: 504, 7, 12" in await reply.text()


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": [1, "a"]}, "prompt.0.1", None),
        ({"prompt": [[1], "a"]}, "prompt", None),
        ({"prompt": [2**31]}, "prompt.0.0", None),
        ({"prompt": [5] * (TERMS.max_input_tokens + 1)}, "prompt", "context_length_exceeded"),
        ({"prompt": [5], "echo": False, "max_tokens": 0}, "max_tokens", None),
        ({"prompt": [5], "logprobs": 6}, "logprobs", None),
    ],
    ids=lambda each: "",
)
async def test_tokens__refused__before_they_cost(
    caller: Caller, fields: Any, param: str, code: str | None
) -> None:
    async with caller.http.post("completions", json={**BODY, **fields}) as reply:
        error = (await reply.json())["error"]
        assert (reply.status, error["param"], error["code"]) == (400, param, code)
        assert "X-Dvllm-Job-Id" not in reply.headers
