"""What is believed of a node's word about itself, and who is able by it."""

import json

import pytest

from decentralized_vllm.protocol.errors import NotServed
from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.requester.node_choice import able_nodes
from decentralized_vllm.requester.node_status import Sighting, sighting_in

NODE = "0x" + "aB" * 20
DEPLOYMENT = Deployment(31337, "0x" + "cD" * 20)
BOTH = frozenset({Feature.TOOLS, Feature.EMBEDDINGS})
TOOLS = frozenset({Feature.TOOLS})


def status(**changes):
    model = {
        "model_id": "m",
        "version": 7,
        "is_ready": True,
        "features": ["tools", "telepathy", "embeddings"],
    }
    fields = {
        "node": NODE.lower(),
        "chain_id": 31337,
        "coordinator": DEPLOYMENT.coordinator,
        "free_slots": 2,
        "is_draining": False,
        "models": [{"model_id": "m", "version": 6, "is_ready": True}, model],
        "more": 1,
    }
    return json.dumps({**fields, **changes}).encode()


def seen(data):
    return sighting_in(data, NODE, DEPLOYMENT, 7)


def test_sighting_in__status_of_the_node__has_what_this_library_knows():
    assert seen(status()) == Sighting(BOTH, has_room=True)


@pytest.mark.parametrize("changes", [{"free_slots": 0}, {"is_draining": True}])
def test_sighting_in__full_or_leaving__has_no_room(changes):
    assert seen(status(**changes)) == Sighting(BOTH, has_room=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"node": "0x" + "00" * 20},
        {"chain_id": 1},
        {"chain_id": "31337"},
        {"coordinator": NODE},
        {"models": []},
        {"models": [{"model_id": "m", "version": 7, "is_ready": False, "features": ["tools"]}]},
        {"models": [{"model_id": "m", "version": 7, "is_ready": True, "features": "tools"}]},
        {"models": [{"model_id": "m", "version": 7, "is_ready": True}] * 257},
    ],
)
def test_sighting_in__another_nodes_or_not_ready__is_none(changes):
    assert seen(status(**changes)) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_sighting_in__no_status__is_none(data):
    assert seen(data) is None


def test_able_nodes__do_all_that_is_wanted():
    sightings = {"a": Sighting(BOTH, True), "b": None, "c": Sighting(TOOLS, False)}
    assert able_nodes(sightings, TOOLS) == {"a": sightings["a"], "c": sightings["c"]}
    assert able_nodes(sightings, BOTH) == {"a": sightings["a"]}


def test_able_nodes__nobody_heard__are_none():
    assert able_nodes({"a": None}, TOOLS) == {}


def test_able_nodes__heard_and_not_able__names_what_is_missing():
    some = {"a": Sighting(TOOLS, True), "b": None}
    with pytest.raises(NotServed, match="no node of this model serves embeddings"):
        able_nodes(some, BOTH)
    split = {"a": Sighting(TOOLS, True), "b": Sighting(BOTH - TOOLS, True)}
    with pytest.raises(NotServed, match="serves embeddings, tools"):
        able_nodes(split, BOTH)
