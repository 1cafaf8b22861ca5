import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from decentralized_vllm.protocol.generation import FinishReason, SamplingParameters, Usage
from decentralized_vllm.protocol.ids import ModelId, Wei
from decentralized_vllm.protocol.prompts import chat_prompt
from decentralized_vllm.protocol.tools import Tool, ToolCall, Tools
from dvllm_gateway.dialects.openai.leftovers import Leftovers
from dvllm_gateway.dialects.openai.run import Run, started
from dvllm_gateway.errors import (
    InsufficientBalance,
    Kind,
    PromptTooLong,
    TaskFailed,
    TaskTimeout,
)
from dvllm_gateway.services.pricing import PricedError, PricedTasks
from dvllm_gateway.services.tasks import Failure, StreamEnd, TaskRequest, TaskState
from tests.unit.gateway.openai.scripted_tasks import ACCOUNT, ScriptedTasks, make_record

NEVER = None


class PreviewedTasks:
    async def preview(self, account, request):
        return make_record(account=account)


def make_requests(count, tools=None):
    document = replace(chat_prompt("hi", SamplingParameters()), tools=tools)
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


async def test_wait_submitted__failed_already__raises_what_it_failed_of():
    failure = Failure(Kind.PROMPT_TOO_LONG, "too long")
    ended = make_record(state=TaskState.FAILED, failure=failure)

    async def wait_submitted(account, task_id, timeout_s):
        return ended

    tasks = SimpleNamespace(wait_submitted=wait_submitted, stream=ScriptedTasks(["a"]).stream)
    run = Run(tasks, ACCOUNT, [ended], uncounted)
    with pytest.raises(PromptTooLong, match="too long"):
        await run.wait_submitted(1.0)
    await run.close(None)


async def test_started__money_is_short_of_all__begins_none():
    broke = InsufficientBalance("no", required_wei=Wei(2), available_wei=Wei(1), balance_wei=Wei(1))
    tasks = ScriptedTasks(["a"], ["b"], refuses=broke)
    with pytest.raises(InsufficientBalance):
        async with started(tasks, ACCOUNT, make_requests(2), uncounted):
            pytest.fail("began with half of its tasks")
    assert tasks.requests == []


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


async def test_started__broken_off__the_rest_is_counted_when_it_ends():
    tasks = ScriptedTasks(["a"], ["b", NEVER])
    counted, later = [], []

    async def count(usage):
        counted.append(usage)

    def count_later(*what):
        later.append(what)

    async def call():
        requests = make_requests(2)
        async with started(tasks, ACCOUNT, requests, count, count_later=count_later) as run:
            async for _, item in run.items():
                if isinstance(item, StreamEnd):
                    break
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await call()
    assert counted == [Usage(3, 1)]
    ((_, account, task_id, its_count),) = later
    assert (account, its_count) == (ACCOUNT, count)
    assert task_id in tasks.cancelled


async def test_started__only_to_be_priced__leaves_nothing_to_count():
    later = []

    def count_later(*what):
        later.append(what)

    async def price():
        requests = make_requests(1)
        tasks = PricedTasks(PreviewedTasks())
        async with started(tasks, ACCOUNT, requests, uncounted, count_later=count_later) as run:
            await run.answers(1.0)

    with pytest.raises(PricedError):
        await price()
    assert later == []


async def test_leftover__over__is_counted_once():
    leftovers, counted = Leftovers(), asyncio.Queue()
    ended = make_record(usage=Usage(3, 4))

    async def wait_over(account, task_id, timeout_s):
        return ended

    leftovers.count_at_end(SimpleNamespace(wait_over=wait_over), ACCOUNT, ended.id, counted.put)
    async with asyncio.timeout(30):
        assert await counted.get() == Usage(3, 4)
    assert counted.empty()


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


CALLED = (ToolCall("call_1", "f", "{}"),)
CHOSEN = Tools((Tool("f"), Tool("g")))
ONE = replace(CHOSEN, are_parallel=False)
NAMED = replace(CHOSEN, named="f")
REQUIRED = replace(CHOSEN, must_call=True)


async def answered(tools, calls, ends):
    scripted = ScriptedTasks([""], document=SimpleNamespace(tool_calls=calls), ends=ends)
    async with started(scripted, ACCOUNT, make_requests(1, tools), uncounted) as run:
        (answer,) = await run.answers(60.0)
    return answer


@pytest.mark.parametrize("tools", [CHOSEN, ONE, NAMED, REQUIRED])
async def test_answers__calls_as_offered__come_with_the_text(tools):
    answer = await answered(tools, CALLED, FinishReason.TOOL_CALLS)
    assert (answer.calls, answer.finish_reason) == (CALLED, FinishReason.TOOL_CALLS)


@pytest.mark.parametrize(
    ("tools", "calls", "ends"),
    [
        (None, CALLED, FinishReason.TOOL_CALLS),
        (CHOSEN, (replace(CALLED[0], name="h"),), FinishReason.TOOL_CALLS),
        (NAMED, (replace(CALLED[0], name="g"),), FinishReason.TOOL_CALLS),
        (NAMED, CALLED * 2, FinishReason.TOOL_CALLS),
        (ONE, CALLED * 2, FinishReason.LENGTH),
        (NAMED, (), FinishReason.STOP),
        (REQUIRED, (), FinishReason.STOP),
    ],
)
async def test_answers__calls_nobody_asked_for_or_none__are_no_answer(tools, calls, ends):
    with pytest.raises(TaskFailed) as failure:
        await answered(tools, calls, ends)
    assert failure.value.task_created


@pytest.mark.parametrize("tools", [CHOSEN, NAMED, REQUIRED])
async def test_answers__cut_at_its_last_token__may_have_lost_its_call(tools):
    assert (await answered(tools, (), FinishReason.LENGTH)).calls == ()


async def test_answers__offered_and_not_called__is_plain_text():
    assert (await answered(CHOSEN, (), FinishReason.STOP)).calls == ()
