import pytest

from decentralized_vllm.protocol.ids import Wei
from dvllm_devnet.accounts import make_cast
from dvllm_devnet.standing import Standing, commands_to_enlist
from dvllm_devnet.worker_setup import WorkerPlan

STAKE = 10**21


@pytest.fixture
def plan(tmp_path):
    return WorkerPlan(make_cast(1).workers[0], tmp_path, port=8701, slots=4, stake_wei=STAKE)


@pytest.mark.parametrize(
    ("endpoint", "stake_wei", "commands"),
    [
        (None, 0, [("register",), ("stake", "1000")]),
        ("http://127.0.0.1:8701", STAKE, []),
        ("http://127.0.0.1:9999", STAKE, [("register",)]),
        ("http://127.0.0.1:8701", STAKE - 10**18, [("stake", "1")]),
    ],
)
def test_commands__only_what_is_missing__in_order(plan, endpoint, stake_wei, commands):
    assert commands_to_enlist(Standing(endpoint, Wei(stake_wei)), plan) == commands


def test_missing_stake__more_than_planned__is_none(plan):
    assert Standing(None, Wei(2 * STAKE)).missing_stake_wei(plan) == 0
