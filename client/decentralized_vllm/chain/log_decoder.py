"""A log of the coordinator, as the protocol event it is."""

from collections.abc import Callable
from functools import cache
from typing import Any

from decentralized_vllm.chain.codec import Event, contract_abi
from decentralized_vllm.protocol import events
from decentralized_vllm.protocol.events import ChainEvent, LogPosition
from decentralized_vllm.protocol.ids import BlockNumber, TxHash
from decentralized_vllm.protocol.jobs import FailureCode

RawLog = dict[str, Any]


def known_topics() -> list[str]:
    """First topics of every event this library acts on."""
    return list(_decoders())


def job_topics() -> list[str]:
    """First topics of the events whose second topic is a job id."""
    return [topic for topic, (_, make) in _decoders().items() if make not in _NOT_OF_JOBS]


def log_position(log: RawLog) -> LogPosition:
    return LogPosition(
        block_number=BlockNumber(int(log["blockNumber"], 16)),
        block_hash=log["blockHash"],
        tx_hash=TxHash(log["transactionHash"]),
        log_index=int(log["logIndex"], 16),
    )


def decode_log(log: RawLog) -> ChainEvent | None:
    """None for events nobody here acts on and for logs of an abandoned block (`removed`).

    Raises AbiMismatch.
    """
    topics = log["topics"]
    found = _decoders().get(topics[0]) if topics else None
    if found is None or log.get("removed"):
        return None
    event, make = found
    return make(log_position(log), *event.decode(topics, bytes.fromhex(log["data"][2:])))


def _handed_back(at: LogPosition, job_id: Any, node: Any, code: int, charge: Any) -> ChainEvent:
    return events.JobHandedBack(at, job_id, node, FailureCode(code), charge)


def _failed(at: LogPosition, job_id: Any, node: Any, code: int, refund: Any) -> ChainEvent:
    return events.JobFailed(at, job_id, node, FailureCode(code), refund)


def _announced(
    at: LogPosition, version: Any, model_id: Any, model_cid: Any, _terms: Any, serves_from: Any
) -> ChainEvent:
    return events.VersionAnnounced(at, version, model_id, model_cid, serves_from)


# Where the dataclass lists its fields in the order of the event (indexed ones first) it is enough.
_MAKERS: dict[str, Callable[..., ChainEvent]] = {
    "InferenceRequested": events.InferenceRequested,
    "InferenceCompleted": events.InferenceCompleted,
    "JobLeased": events.JobLeased,
    "JobOpened": events.JobOpened,
    "JobSettled": events.JobSettled,
    "JobHandedBack": _handed_back,
    "JobFailed": _failed,
    "JobExpired": events.JobExpired,
    "JobCancelled": events.JobCancelled,
    "NoShow": events.NoShow,
    "EarningsMatured": events.EarningsMatured,
    "VersionAnnounced": _announced,
}
_NOT_OF_JOBS = (events.EarningsMatured, _announced)


@cache
def _decoders() -> dict[str, tuple[Event, Callable[..., ChainEvent]]]:
    """By first topic. Made at first use: importing this module reads no file."""
    known = contract_abi("InferenceCoordinator").events
    return {known[name].topic: (known[name], make) for name, make in _MAKERS.items()}
