"""Which node is named for a job, by what the gateway heard of them."""

import pytest

from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.errors import InvalidRequest
from dvllm_gateway.services.network import ServingNode
from dvllm_gateway.services.node_choice import writing_node

TOOLS = frozenset({Feature.TOOLS})
VECTORS = frozenset({Feature.EMBEDDINGS})
NOTHING = frozenset[Feature]()


def node(digit: str, features: frozenset[Feature]) -> ServingNode:
    return ServingNode(Address("0x" + digit * 40), True, features)


def test_writing_node__nobody_heard_of__the_chain_draws() -> None:
    assert writing_node([]) is None


def test_writing_node__all_write__the_chain_draws() -> None:
    assert writing_node([node("1", NOTHING), node("2", TOOLS | VECTORS)]) is None


def test_writing_node__one_makes_vectors_alone__another_is_named() -> None:
    nodes = [node("1", VECTORS), node("2", NOTHING)]
    assert writing_node(nodes) == nodes[1].operator


def test_writing_node__all_make_vectors_alone__refused_before_it_costs() -> None:
    with pytest.raises(InvalidRequest, match="make embeddings, and no text"):
        writing_node([node("1", VECTORS), node("2", VECTORS)])
