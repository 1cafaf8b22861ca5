"""What each step hands to the next, from an admitted lease to a delivered answer."""

import asyncio
from dataclasses import dataclass

from decentralized_vllm.protocol.generation import GenerationRequest, Usage
from decentralized_vllm.protocol.ids import Cid, TxHash
from decentralized_vllm.protocol.jobs import JobState, Terms
from dvllm_worker.pipeline.rows import JobKey, JobRow


@dataclass(frozen=True, slots=True)
class AdmittedJob:
    """A lease that is ours by the contract. `deadline_s` is the last second of its grace."""

    row: JobRow
    state: JobState
    terms: Terms
    deadline_s: int

    @property
    def key(self) -> JobKey:
        return self.row.key


@dataclass(frozen=True, slots=True)
class LoadedJob:
    """The prompt, read, checked and cut to what the terms and the escrow allow."""

    job: AdmittedJob
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class ShelvedAnswer:
    """A signed answer on its way into the node's own store: there when `in_store` is done."""

    cid: Cid
    document: bytes
    in_store: asyncio.Future[Cid]


@dataclass(frozen=True, slots=True)
class Generation:
    """An answer that is never made again once the journal has it."""

    job: AdmittedJob
    answer: ShelvedAnswer
    usage: Usage


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """An answer that anyone can read by its CID."""

    job: AdmittedJob
    response_cid: Cid
    usage: Usage


@dataclass(frozen=True, slots=True)
class SubmittedResult:
    """An answer whose delivery is broadcast."""

    job: AdmittedJob
    response_cid: Cid
    tx_hash: TxHash
