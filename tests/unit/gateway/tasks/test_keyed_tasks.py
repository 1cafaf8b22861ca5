"""The tasks of a request with a key: each attempt finds those that an earlier one made."""

from functools import partial

import pytest

from decentralized_vllm.protocol.generation import Feature, SamplingParameters
from decentralized_vllm.protocol.prompts import chat_prompt
from dvllm_gateway.errors import NoCapacity
from dvllm_gateway.ids import new_task_id, task_id_after
from dvllm_gateway.services.keyed_tasks import KeyedTasks
from dvllm_gateway.services.node_choice import able_node, unserved, writing_node
from dvllm_gateway.services.placed_before import PlacedBefore
from dvllm_gateway.services.ports import Attempt
from dvllm_gateway.services.tasks import TaskRequest, TaskState
from tests.support.gateway_in_memory.facts import ASKER, MODEL, OTHER
from tests.support.gateway_in_memory.network import MemoryNetwork
from tests.support.gateway_in_memory.tasks import MemoryTasks, completed

REQUEST = TaskRequest(MODEL.id, chat_prompt("hi", SamplingParameters()), "hi")


def attempt(*, is_new: bool) -> Attempt:
    return Attempt(FIRST, is_new=is_new, is_mine=True)


FIRST = new_task_id()


@pytest.fixture
def tasks() -> MemoryTasks:
    return MemoryTasks()


async def test_submit__several__ids_follow_from_the_key(tasks: MemoryTasks) -> None:
    keyed = KeyedTasks(tasks, attempt(is_new=True))
    made = [(await keyed.submit(ASKER, REQUEST)).id for _ in range(3)]
    assert made == [FIRST, task_id_after(FIRST, 1), task_id_after(FIRST, 2)]
    assert made == sorted(made)


async def test_submit__again__finds_what_was_made_and_makes_the_rest(tasks: MemoryTasks) -> None:
    await KeyedTasks(tasks, attempt(is_new=True)).submit(ASKER, REQUEST)
    ended = tasks.put(completed(tasks.records[FIRST]))
    keyed = KeyedTasks(tasks, attempt(is_new=False))
    assert await keyed.submit(ASKER, REQUEST) == ended
    assert (await keyed.submit(ASKER, REQUEST)).state is TaskState.PENDING
    assert len(tasks.requests) == 2


async def test_submit_all__again__finds_what_was_made_and_makes_the_rest(
    tasks: MemoryTasks,
) -> None:
    await KeyedTasks(tasks, attempt(is_new=True)).submit_all(ASKER, [REQUEST] * 2)
    keyed = KeyedTasks(tasks, attempt(is_new=False))
    made = await keyed.submit_all(ASKER, [REQUEST] * 3)
    assert [record.id for record in made] == [task_id_after(FIRST, n) for n in range(3)]
    assert len(tasks.requests) == 3


async def test_cancel__takes_effect_when_it_is_given_up(tasks: MemoryTasks) -> None:
    keyed = KeyedTasks(tasks, attempt(is_new=True))
    record = await keyed.submit(ASKER, REQUEST)
    assert (await keyed.cancel(ASKER, record.id)).state is TaskState.PENDING
    assert keyed.is_unwanted
    await keyed.give_up()
    assert tasks.records[record.id].state is TaskState.CANCELLED
    await keyed.give_up()  # what is over already stays so


async def test_submit__refused__has_begun_nothing(tasks: MemoryTasks) -> None:
    tasks.fails = NoCapacity("not now")
    keyed = KeyedTasks(tasks, attempt(is_new=True))
    with pytest.raises(NoCapacity):
        await keyed.submit(OTHER, REQUEST)
    assert not keyed.has_begun


async def test_nodes__of_a_request_that_has_its_task__need_not_be_there(tasks: MemoryTasks) -> None:
    wanted = frozenset({Feature.LOGPROBS})
    keyed = KeyedTasks(tasks, attempt(is_new=False))
    network = PlacedBefore(MemoryNetwork(), partial(keyed.has_first, ASKER))
    assert await network.serving(MODEL.id) == await MemoryNetwork().serving(MODEL.id)

    await KeyedTasks(tasks, attempt(is_new=True)).submit(ASKER, REQUEST)
    nodes = await network.serving(MODEL.id)
    assert unserved(nodes, wanted) == frozenset()
    assert able_node(nodes, wanted) is None
    assert writing_node(nodes) is None
