import asyncio

import pytest

from decentralized_vllm.protocol.generation import SamplingParameters, Usage
from decentralized_vllm.protocol.ids import ModelId, Wei
from decentralized_vllm.protocol.prompts import chat_prompt
from dvllm_gateway.dialects.openai.run import started
from dvllm_gateway.errors import InsufficientBalance, TaskFailed, TaskTimeout
from dvllm_gateway.services.tasks import TaskRequest
from tests.unit.gateway.openai.scripted_tasks import ACCOUNT, ScriptedTasks

NEVER = None


def make_requests(count):
    document = chat_prompt("hi", SamplingParameters())
    return [TaskRequest(ModelId("m"), document, "hi") for _ in range(count)]


async def uncounted(_):
    """For runs whose usage is not looked at."""


async def test_answers__several_choices__each_is_whole_and_in_its_place():
    tasks = ScriptedTasks(["a", "b"], ["c"])
    async with started(tasks, ACCOUNT, make_requests(2), uncounted) as run:
        answers = await run.answers(1.0)
    assert [answer.text for answer in answers] == ["ab", "c"]
    assert [answer.usage for answer in answers] == [Usage(3, 2), Usage(3, 1)]
    assert tasks.cancelled == []


async def test_started__money_runs_out_half_way__gives_up_what_was_begun():
    broke = InsufficientBalance("no", required_wei=Wei(2), available_wei=Wei(1), balance_wei=Wei(1))
    tasks = ScriptedTasks(["a"], ["b"], fails_at=(1, broke))
    with pytest.raises(InsufficientBalance):
        async with started(tasks, ACCOUNT, make_requests(2), uncounted):
            pytest.fail("began with half of its tasks")
    assert len(tasks.cancelled) == 1


async def test_answers__caller_hangs_up__tasks_are_given_up():
    tasks = ScriptedTasks(["a", NEVER], ["b", NEVER])

    async def call():
        async with started(tasks, ACCOUNT, make_requests(2), uncounted) as run:
            await run.answers(60.0)

    calling = asyncio.create_task(call())
    await tasks.all_wait.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert len(tasks.cancelled) == 2


async def test_answers__one_choice_fails__the_call_fails_with_its_error():
    tasks = ScriptedTasks(["a"], ["b", TaskFailed("content_invalid")])
    async with started(tasks, ACCOUNT, make_requests(2), uncounted) as run:
        with pytest.raises(TaskFailed, match="content_invalid"):
            await run.answers(1.0)


async def test_answers__too_slow__says_that_the_task_goes_on():
    tasks = ScriptedTasks([NEVER])
    async with started(tasks, ACCOUNT, make_requests(1), uncounted) as run:
        with pytest.raises(TaskTimeout) as late:
            await run.answers(0.01)
    assert late.value.task_created
    assert tasks.cancelled == []


async def test_answers__each_choice__its_usage_is_counted():
    counted = []

    async def count(usage):
        counted.append(usage)

    async with started(ScriptedTasks(["a", "b"], ["c"]), ACCOUNT, make_requests(2), count) as run:
        await run.answers(1.0)
    assert sorted(usage.n_output_tokens for usage in counted) == [1, 2]
