"""Which node may answer what not every engine does. Pure but for the lot it draws."""

import random
from collections.abc import Callable, Sequence

from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.errors import InvalidRequest, NoCapacity
from dvllm_gateway.services.network import ServingNode

RETRY_AFTER_S = 5
ONLY_VECTORS = frozenset({Feature.EMBEDDINGS})

Draw = Callable[[Sequence[ServingNode]], ServingNode]


def unserved(nodes: Sequence[ServingNode], wanted: frozenset[Feature]) -> frozenset[Feature]:
    """What of `wanted` stands in the way: empty if some node does all of it.

    Raises NoCapacity while no node of the model was heard of.
    """
    if not nodes:
        raise NoCapacity("no node of this model has been heard of", retry_after_s=RETRY_AFTER_S)
    if any(wanted <= node.features for node in nodes):
        return frozenset()
    known = frozenset[Feature]().union(*(node.features for node in nodes))
    return wanted - known or wanted


def able_node(
    nodes: Sequence[ServingNode],
    wanted: frozenset[Feature],
    draw: Draw = random.choice,
) -> Address | None:
    """The node to name for a job; None where all are able, so that the chain draws as ever.

    Raises NoCapacity if those that are able have no room: the chain refuses a job for such a node.
    """
    return _one_of([node for node in nodes if wanted <= node.features], nodes, draw)


def writing_node(nodes: Sequence[ServingNode], draw: Draw = random.choice) -> Address | None:
    """As `able_node`, for a prompt that asks for nothing but text; None also for unknown nodes.

    A node that makes vectors and nothing else would end the job at its requester's cost. Raises
    InvalidRequest if there are no others.
    """
    able = [node for node in nodes if node.features != ONLY_VECTORS]
    if nodes and not able:
        raise InvalidRequest("model: its nodes make embeddings, and no text", field="model")
    return _one_of(able, nodes, draw)


def _one_of(
    able: Sequence[ServingNode], nodes: Sequence[ServingNode], draw: Draw
) -> Address | None:
    if len(able) == len(nodes):
        return None
    free = [node for node in able if node.has_room]
    if not free:
        raise NoCapacity("the nodes that do this are busy", retry_after_s=RETRY_AFTER_S)
    return draw(free).operator
