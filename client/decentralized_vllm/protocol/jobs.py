"""A job as the coordinator sees it, and the ways it can go on (contracts/interfaces)."""

from dataclasses import dataclass
from enum import IntEnum

from decentralized_vllm.protocol.ids import Address, JobId, VersionNumber, Wei


class JobStatus(IntEnum):
    """Same order as `enum JobStatus` in Solidity."""

    NONE = 0
    OPEN = 1
    LEASED = 2
    DELIVERED = 3
    FAILED = 4
    EXPIRED = 5
    CANCELLED = 6

    @property
    def is_over(self) -> bool:
        return self >= JobStatus.DELIVERED


class FailureCode(IntEnum):
    """Same order as `enum FailureCode` in Solidity. The first two reopen the job, others end it."""

    BUSY = 0
    ENGINE_FAILED = 1
    CONTENT_MISSING = 2
    CONTENT_TOO_LARGE = 3
    CONTENT_INVALID = 4
    KEY_MISSING = 5

    @property
    def is_content(self) -> bool:
        return self >= FailureCode.CONTENT_MISSING


@dataclass(frozen=True, slots=True)
class JobState:
    """One job at one block. `until_s` ends the lease (grace not included) or the open time."""

    job_id: JobId
    requester: Address
    node: Address
    until_s: int
    version: VersionNumber
    status: JobStatus
    attempts: int
    share: int
    is_final: bool
    escrow_wei: Wei
    digest: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """Immutable terms of one version of a model; see `struct Terms`."""

    input_price_gwei: int
    output_price_gwei: int
    flat_fee_gwei: int
    max_fee_gwei: int
    lease_s: int
    open_s: int
    max_input_tokens: int
    max_output_tokens: int

    @property
    def is_flat(self) -> bool:
        return self.input_price_gwei == 0 and self.output_price_gwei == 0
