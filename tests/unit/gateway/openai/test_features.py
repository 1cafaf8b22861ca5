from dataclasses import dataclass, replace

import pytest

from decentralized_vllm.protocol.generation import (
    Feature,
    Message,
    ResponseFormat,
    SamplingParameters,
)
from decentralized_vllm.protocol.ids import Address, ModelId
from decentralized_vllm.protocol.prompts import PromptDocument, chat_prompt
from decentralized_vllm.protocol.tools import Tool, Tools
from dvllm_gateway.dialects.openai.features import placed
from dvllm_gateway.errors import InvalidRequest, NoCapacity
from dvllm_gateway.services.network import ServingNode
from dvllm_gateway.services.tasks import TaskRequest

ALL = frozenset(Feature)
PLAIN = frozenset()
VECTORS = frozenset({Feature.EMBEDDINGS})
FIRST, SECOND = Address("0x" + "01" * 20), Address("0x" + "02" * 20)
JSON = {"response_format": ResponseFormat()}
SCHEMA = {"response_format": ResponseFormat("{}")}


@dataclass
class Nodes:
    """As much of a network as is asked."""

    nodes: tuple[ServingNode, ...] = ()

    async def serving(self, model_id):
        assert model_id == "m"
        return self.nodes


def node(operator, features, has_room=True):
    return ServingNode(operator, has_room, features)


def requests(count=1, tools=None, messages=(), **parameters):
    document = chat_prompt("hi", SamplingParameters(**parameters))
    told = (*document.messages, *messages)
    document = replace(document, messages=told, tools=tools)
    return [TaskRequest(ModelId("m"), document, "hi")] * count


async def test_placed__plain_text__left_to_the_chain_unless_a_node_makes_vectors_alone():
    asked = requests(2)
    for nodes in ((), (node(FIRST, PLAIN),)):
        assert await placed(Nodes(nodes), asked) == asked
    mixed = Nodes((node(FIRST, VECTORS), node(SECOND, PLAIN)))
    assert [request.node for request in await placed(mixed, asked)] == [SECOND] * 2


async def test_placed__every_node_able__leaves_the_draw_to_the_chain():
    nodes = Nodes((node(FIRST, ALL), node(SECOND, ALL, has_room=False)))
    assert [request.node for request in await placed(nodes, requests(2, **JSON))] == [None, None]


async def test_placed__one_node_able__names_it():
    nodes = Nodes((node(FIRST, PLAIN), node(SECOND, ALL)))
    assert [request.node for request in await placed(nodes, requests(2, **JSON))] == [SECOND] * 2


async def test_placed__the_able_one_is_full__no_capacity():
    nodes = Nodes((node(FIRST, PLAIN), node(SECOND, ALL, has_room=False)))
    with pytest.raises(NoCapacity):
        await placed(nodes, requests(**JSON))


async def test_placed__nobody_heard_of__no_capacity():
    with pytest.raises(NoCapacity):
        await placed(Nodes(), requests(**JSON))


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"logprobs": 0}, "logprobs"),
        ({"presence_penalty": 1.0, "frequency_penalty": 1.0}, "presence_penalty"),
        ({"frequency_penalty": 1.0}, "frequency_penalty"),
        (JSON, "response_format"),
        (SCHEMA, "response_format"),
        ({"tools": Tools((Tool("f"),))}, "tools"),
        ({"tools": Tools((Tool("f"),), must_call=True)}, "tool_choice"),
        ({"tools": Tools((Tool("f"),), named="f")}, "tool_choice"),
        ({"messages": (Message("tool", "42", tool_call_id="1"),)}, "messages"),
    ],
)
async def test_placed__no_node_able__the_field_is_refused(parameters, field):
    features = requests(**parameters)[0].document.features
    for nodes in ([PLAIN], [ALL - features, PLAIN]):
        served = Nodes(tuple(node(FIRST, each) for each in nodes))
        with pytest.raises(InvalidRequest, match=f"^{field}: no node") as refusal:
            await placed(served, requests(**parameters))
        assert refusal.value.field == field


async def test_placed__no_node_does_both__is_refused():
    nodes = Nodes(
        (node(FIRST, frozenset({Feature.LOGPROBS})), node(SECOND, frozenset({Feature.JSON_OBJECT})))
    )
    with pytest.raises(InvalidRequest):
        await placed(nodes, requests(logprobs=0, **JSON))


@pytest.mark.parametrize(
    ("rates", "missing", "field"),
    [
        (False, Feature.TOKEN_PROMPTS, "prompt"),
        (True, Feature.TOKEN_PROMPTS, "prompt"),
        (True, Feature.PROMPT_LOGPROBS, "echo"),
        (True, Feature.LOGPROBS, "logprobs"),
    ],
)
async def test_placed__tokens_or_an_echo_nobody_serves__the_field_is_refused(rates, missing, field):
    parameters = SamplingParameters(logprobs=1 if rates else None, prompt_logprobs=rates)
    document = PromptDocument(token_ids=(5,), parameters=parameters)
    asked = [TaskRequest(ModelId("m"), document, "token ids: 5")]
    with pytest.raises(InvalidRequest, match=f"^{field}: no node") as refusal:
        await placed(Nodes((node(FIRST, ALL - {missing}),)), asked)
    assert refusal.value.field == field
    able = Nodes((node(FIRST, ALL - {missing}), node(SECOND, ALL)))
    assert [request.node for request in await placed(able, asked)] == [SECOND]
