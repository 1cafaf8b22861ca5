"""Ending overdue jobs: what goes wrong with it is never the fault of who waits."""

from types import SimpleNamespace

import pytest

from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    ContractRevert,
    SettingError,
    StorageBusy,
    StorageFull,
    TransactionFailed,
)
from decentralized_vllm.protocol.ids import ZERO_ADDRESS
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.requester.overdue import OverdueJobs

STATE = SimpleNamespace(
    job_id=7,
    digest=bytes(32),
    version=1,
    requester=ZERO_ADDRESS,
    status=JobStatus.OPEN,
    node=ZERO_ADDRESS,
    until_s=10,
    attempts=0,
    escrow_wei=100,
)


class Sender:
    def __init__(self, error):
        self._error = error

    async def send(self, call, *, key):
        pass

    async def wait(self, key):
        raise self._error


async def terms(version):
    return SimpleNamespace(lease_s=5, open_s=5)


@pytest.mark.parametrize(
    "error",
    [
        ChainUnavailable("gone"),
        ContractRevert("WrongStatus"),
        TransactionFailed("expireJob: reverted"),  # by a node that does not tell why
        StorageBusy("held"),
        StorageFull("no space left"),
        SettingError("data_dir", "can not be written to"),
    ],
)
async def test_expire_if_due__fails__is_left_to_others_and_the_next_look(error):
    network = SimpleNamespace(
        jobs=SimpleNamespace(terms=terms),
        clocks=SimpleNamespace(grace_s=1, max_attempts=4),
        node_calls=SimpleNamespace(expire_job=lambda job_id: None),
    )
    await OverdueJobs(network, Sender(error)).expire_if_due(STATE, now_s=11)
