"""Encoded calls, decoded logs and errors, against the exported ABI."""

import pytest
from eth_abi.abi import encode

from decentralized_vllm.chain.codec import CONTRACT_NAMES, contract_abi, exported_contract
from decentralized_vllm.chain.contracts.coordinator_calls import NodeCalls, RequesterCalls
from decentralized_vllm.chain.contracts.model_registry import ModelRegistry
from decentralized_vllm.chain.contracts.node_registry import NodeRegistry
from decentralized_vllm.chain.contracts.token import Token
from decentralized_vllm.chain.log_decoder import decode_log, job_topics, known_topics
from decentralized_vllm.chain.reverts import ERROR_STRING, revert_error
from decentralized_vllm.chain.verification import missing_from
from decentralized_vllm.protocol import events
from decentralized_vllm.protocol.errors import (
    AbiMismatch,
    CeilingTooLow,
    ContractRevert,
    InsufficientFunds,
    TransactionFailed,
    UnknownJob,
    UnknownModel,
)
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, VersionNumber, Wei
from decentralized_vllm.protocol.jobs import FailureCode, Terms
from decentralized_vllm.protocol.models import ModelInfo
from decentralized_vllm.protocol.nodes import NodeProfile
from decentralized_vllm.protocol.permits import SignedPermit
from decentralized_vllm.protocol.units import tokens

WHO = Address("0x00000000000000000000000000000000000000A1")
JOB = JobId(5)
CID = Cid("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
TERMS = Terms(1, 2, 3, 4, 5, 6, 7, 8)
MODEL = ModelInfo(ModelId("m"), CID, "name", "text", 0, True)
PERMIT = SignedPermit(Wei(1), 2, 27, bytes(32), bytes(32))
PROFILE = NodeProfile(1, 2, 3)

REQUESTER = RequesterCalls(WHO)
NODE = NodeCalls(WHO)
MODELS = ModelRegistry(None, WHO)
NODES = NodeRegistry(None, WHO)
TOKEN = Token(None, WHO)

CALLS = [
    REQUESTER.submit_prompt(CID, ModelId("m")),
    REQUESTER.submit_prompt_capped(CID, ModelId("m"), ceiling_wei=Wei(1), share=255, node=WHO),
    REQUESTER.submit_prompt_with_cid(CID, CID),
    REQUESTER.cancel_job(JOB),
    REQUESTER.deposit(Wei(1)),
    REQUESTER.deposit_with_permit(PERMIT),
    REQUESTER.withdraw(Wei(1)),
    REQUESTER.multicall([REQUESTER.deposit(Wei(1)), REQUESTER.cancel_job(JOB)]),
    NODE.submit_response(JOB, CID, bytes(32), None),
    NODE.submit_response(JOB, CID, bytes(32), Usage(1, 2)),
    NODE.take_job(JOB),
    NODE.fail_job(JOB, FailureCode.CONTENT_INVALID, bytes(32)),
    NODE.expire_job(JOB),
    NODE.settle(WHO),
    NODE.stake(Wei(1)),
    NODE.stake_with_permit(PERMIT),
    NODE.request_unstake(Wei(1)),
    NODE.withdraw_stake(),
    NODE.lock_stake(1),
    NODE.resume(),
    NODE.join_version(VersionNumber(1)),
    NODE.leave_version(VersionNumber(1)),
    MODELS.register_model(MODEL),
    MODELS.register_model(MODEL, TERMS),
    MODELS.publish_model(MODEL, TERMS),
    MODELS.update_model(MODEL.model_id, CID),
    MODELS.update_model(MODEL.model_id, CID, TERMS),
    MODELS.set_model_active(MODEL.model_id, is_active=False),
    NODES.register_node(PROFILE),
    NODES.update_profile(PROFILE),
    NODES.set_slots(3),
    NODES.deregister_node(),
    TOKEN.transfer(WHO, Wei(1)),
    TOKEN.approve(WHO, Wei(1)),
    TOKEN.faucet(WHO, Wei(1)),
]


def test_calls__all_of_them__distinct_selectors_of_our_contracts() -> None:
    selectors = [call.data[:4] for call in CALLS]
    known = {f.selector for name in CONTRACT_NAMES for f in contract_abi(name).functions.values()}
    assert len(set(selectors)) == len(CALLS)
    assert set(selectors) <= known


def test_call__wrong_kind_of_argument__value_error() -> None:
    with pytest.raises(ValueError, match="submitPrompt"):
        REQUESTER.submit_prompt_capped(CID, ModelId("m"), ceiling_wei=Wei(1), share=256, node=WHO)


@pytest.mark.parametrize("name", ["InferenceCoordinator", "ModelRegistry", "NodeProfileRegistry"])
def test_missing_from__code_of_the_contract__nothing(name: str) -> None:
    code = bytes.fromhex(exported_contract(name)["bytecode"][2:])
    assert missing_from(code, contract_abi(name)) == []


def test_missing_from__code_of_another_contract__names_what_it_lacks() -> None:
    code = bytes.fromhex(exported_contract("NetworkToken")["bytecode"][2:])
    missing = missing_from(code, contract_abi("InferenceCoordinator"))
    assert "submitPrompt(string,string)" in missing
    assert "InferenceRequested" in missing


AT = events.LogPosition(17, "0x" + "aa" * 32, "0x" + "bb" * 32, 3)
TERMS_VALUES = (1, 2, 3, 4, 5, 6, 7, 8)

# name → values in the order indexed, then others; and the event they stand for
EVENTS = {
    "InferenceRequested": (
        (5, WHO, CID, "m", CID),
        events.InferenceRequested(AT, 5, WHO, CID, "m", CID),
    ),
    "InferenceCompleted": ((5, WHO, CID), events.InferenceCompleted(AT, 5, WHO, CID)),
    "JobLeased": ((5, WHO, 99), events.JobLeased(AT, 5, WHO, 99)),
    "JobOpened": ((5, 99), events.JobOpened(AT, 5, 99)),
    "JobSettled": ((5, 7, 8), events.JobSettled(AT, 5, 7, 8)),
    "JobHandedBack": ((5, WHO, 1, 8), events.JobHandedBack(AT, 5, WHO, FailureCode(1), 8)),
    "JobFailed": ((5, WHO, 4, 8), events.JobFailed(AT, 5, WHO, FailureCode(4), 8)),
    "JobExpired": ((5, 8), events.JobExpired(AT, 5, 8)),
    "JobCancelled": ((5, 8), events.JobCancelled(AT, 5, 8)),
    "NoShow": ((5, WHO, 8), events.NoShow(AT, 5, WHO, 8)),
    "EarningsMatured": ((WHO, WHO, 8, 9), events.EarningsMatured(AT, WHO, WHO, 8, 9)),
    "VersionAnnounced": (
        (2, "m", CID, TERMS_VALUES, 99),
        events.VersionAnnounced(AT, 2, "m", CID, 99),
    ),
}


def log_of(name: str, values: tuple, **changes) -> dict:
    event = contract_abi("InferenceCoordinator").events[name]
    n_indexed = len(event.indexed)
    topics = [encode([t], [v]).hex() for t, v in zip(event.indexed, values, strict=False)]
    return {
        "topics": [event.topic, *("0x" + topic for topic in topics)],
        "data": "0x" + encode(event.unindexed, values[n_indexed:]).hex(),
        "blockNumber": hex(AT.block_number),
        "blockHash": AT.block_hash,
        "transactionHash": AT.tx_hash,
        "logIndex": hex(AT.log_index),
        **changes,
    }


@pytest.mark.parametrize("name", EVENTS)
def test_decode_log__each_event__its_dataclass(name: str) -> None:
    values, expected = EVENTS[name]
    assert decode_log(log_of(name, values)) == expected


def test_known_topics__each_event__and_only_those_of_jobs_are_job_topics() -> None:
    by_name = contract_abi("InferenceCoordinator").events
    assert set(known_topics()) == {by_name[name].topic for name in EVENTS}
    others = {by_name["EarningsMatured"].topic, by_name["VersionAnnounced"].topic}
    assert set(job_topics()) == set(known_topics()) - others


def test_decode_log__event_nobody_acts_on__none() -> None:
    assert decode_log(log_of("Deposited", (WHO, 5))) is None


def test_decode_log__removed__none() -> None:
    values, _ = EVENTS["JobOpened"]
    assert decode_log(log_of("JobOpened", values, removed=True)) is None


def test_decode_log__text_that_is_no_utf8__told_all_the_same() -> None:
    log = log_of("InferenceCompleted", (5, WHO, "abc"))
    log["data"] = log["data"].replace(b"abc".hex(), b"\xffbc".hex())
    event = decode_log(log)
    assert isinstance(event, events.InferenceCompleted)
    assert event.response_cid == "�bc"


def test_decode_log__data_cut_short__abi_mismatch() -> None:
    values, _ = EVENTS["JobSettled"]
    with pytest.raises(AbiMismatch):
        decode_log(log_of("JobSettled", values, data="0x00"))


def revert_data(contract: str, name: str, *values) -> bytes:
    error = next(e for e in contract_abi(contract).errors.values() if e.name == name)
    return error.selector + encode(error.inputs, values)


COORDINATOR = "InferenceCoordinator"


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (revert_data(COORDINATOR, "UnknownModel"), UnknownModel, "no such model"),
        (revert_data(COORDINATOR, "ModelInactive"), UnknownModel, "takes no new jobs"),
        (revert_data("ModelRegistry", "ModelUnknown"), UnknownModel, "no such model"),
        (revert_data(COORDINATOR, "UnknownJob", 5), UnknownJob, "no job 5"),
        (
            revert_data(COORDINATOR, "InsufficientCredit", tokens(1), tokens(2)),
            InsufficientFunds,
            "credit is 1 tokens and 2 are needed",
        ),
        (
            revert_data(COORDINATOR, "CeilingExceeded", tokens(3), tokens(2)),
            CeilingTooLow,
            "up to 3 tokens, accepted are 2",
        ),
        (
            revert_data("NetworkToken", "ERC20InsufficientBalance", WHO, 0, tokens(2)),
            InsufficientFunds,
            "holds 0 tokens, 2 needed",
        ),
        (revert_data(COORDINATOR, "TooLate", 77), ContractRevert, "TooLate(77)"),
        (revert_data(COORDINATOR, "WrongStatus", 3), ContractRevert, "(the job is delivered)"),
        (revert_data(COORDINATOR, "NotRequester"), ContractRevert, "another account's"),
        (b"", TransactionFailed, "without a reason"),
        (None, TransactionFailed, "without a reason"),
        (ERROR_STRING + encode(["string"], ["why"]), TransactionFailed, "why"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [17]), TransactionFailed, "0x11"),
        (ERROR_STRING + (32).to_bytes(32) + b"\xff" * 32, TransactionFailed, "0x08c379a0"),
        (bytes.fromhex("4e487b7100"), TransactionFailed, "0x4e487b7100"),
        (bytes.fromhex("deadbeef"), TransactionFailed, "0xdeadbeef"),
        (revert_data(COORDINATOR, "TooLate", 77)[:6], TransactionFailed, "reverted"),
    ],
)
def test_revert_error__what_was_returned__typed_and_readable(
    data: bytes | None, error: type[Exception], text: str
) -> None:
    found = revert_error(data, call="the call")
    assert type(found) is error
    assert text in str(found)
