"""One transaction on its way, as the outbox keeps it."""

from dataclasses import dataclass, replace
from enum import StrEnum

from decentralized_vllm.chain.fees import Fees
from decentralized_vllm.protocol.ids import BlockNumber, TxHash, Wei
from decentralized_vllm.protocol.transactions import Call, Receipt


class State(StrEnum):
    """pending → mined → settled, and back from mined to pending after a re-organisation."""

    PENDING = "pending"  # signed and stored; some attempt may be mined at any time
    MINED = "mined"  # in a block that a re-organisation may still take away
    SETTLED = "settled"  # too deep for that, or given up before it was mined


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed version. Any of them may be mined, so none is ever forgotten."""

    hash: TxHash
    raw: bytes
    nonce: int
    fees: Fees
    is_cancellation: bool = False


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where it was mined. `gas_price_wei` is what was paid per gas."""

    tx_hash: TxHash
    block_number: BlockNumber
    block_hash: str
    gas_used: int
    gas_price_wei: Wei


@dataclass(frozen=True, slots=True)
class Outgoing:
    """`failure` says why it did not have its effect; `revert_data` is what the contract said.

    `settled_s` is the chain time at which it was settled.
    """

    id: int
    key: str
    call: Call
    deadline_s: int | None
    state: State
    nonce: int
    gas_limit: int
    attempts: tuple[Attempt, ...]  # oldest first, never empty
    inclusion: Inclusion | None = None
    failure: str | None = None
    revert_data: bytes | None = None
    settled_s: int | None = None

    @property
    def latest(self) -> Attempt:
        return self.attempts[-1]

    @property
    def is_waiting(self) -> bool:
        return self.state is State.PENDING

    @property
    def most_cost_wei(self) -> int:
        return self.gas_limit * self.latest.fees.max_fee_wei

    def with_attempt(self, attempt: Attempt) -> "Outgoing":
        attempts = (*self.attempts, attempt)
        return replace(self, state=State.PENDING, nonce=attempt.nonce, attempts=attempts)

    def mined(
        self, inclusion: Inclusion, failure: str | None, revert_data: bytes | None
    ) -> "Outgoing":
        return replace(
            self,
            state=State.MINED,
            inclusion=inclusion,
            failure=failure,
            revert_data=revert_data,
        )

    def settled(self, at_s: int) -> "Outgoing":
        return replace(self, state=State.SETTLED, settled_s=at_s)

    def back_to_pending(self) -> "Outgoing":
        """After the block it was mined in was abandoned."""
        return replace(self, state=State.PENDING, inclusion=None, failure=None, revert_data=None)

    def given_up(self, failure: str, at_s: int) -> "Outgoing":
        return replace(self, state=State.SETTLED, failure=failure, settled_s=at_s)

    def receipt(self) -> Receipt:
        mined = self.inclusion
        if mined is None:
            raise ValueError("it is not mined")
        return Receipt(
            mined.tx_hash,
            mined.block_number,
            mined.block_hash,
            mined.gas_used,
            mined.gas_price_wei,
        )
