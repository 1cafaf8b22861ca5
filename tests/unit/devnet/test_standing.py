import pytest

from decentralized_vllm.protocol.ids import Wei
from dvllm_devnet.accounts import make_cast
from dvllm_devnet.standing import Standing, commands_to_run
from dvllm_devnet.worker_setup import WorkerPlan

STAKE = 10**21


@pytest.fixture
def plan(tmp_path):
    return WorkerPlan(make_cast(1).workers[0], tmp_path, port=8701, slots=4, stake_wei=STAKE)


@pytest.mark.parametrize(
    ("endpoint", "stake_wei", "serves", "commands"),
    [
        (None, 0, False, [("register",), ("stake", "1000"), ("serve-model", "m")]),
        ("http://127.0.0.1:8701", STAKE, True, []),
        ("http://127.0.0.1:9999", STAKE, True, [("register",)]),
        ("http://127.0.0.1:8701", STAKE, False, [("register",), ("serve-model", "m")]),
        ("http://127.0.0.1:8701", STAKE - 10**18, True, [("stake", "1"), ("serve-model", "m")]),
    ],
)
def test_commands__only_what_is_missing__in_order(plan, endpoint, stake_wei, serves, commands):
    standing = Standing(endpoint, Wei(stake_wei), serves)
    assert commands_to_run(standing, plan, "m") == commands


def test_missing_stake__more_than_planned__is_none(plan):
    assert Standing(None, Wei(2 * STAKE), False).missing_stake_wei(plan) == 0
