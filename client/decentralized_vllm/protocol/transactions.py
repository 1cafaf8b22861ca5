"""A call to a contract, and what became of it."""

from dataclasses import dataclass

from decentralized_vllm.protocol.ids import Address, BlockNumber, TxHash, Wei


@dataclass(frozen=True, slots=True)
class Call:
    """An encoded call, not yet bound to key, nonce or gas price. `label` is for people and logs."""

    to: Address
    data: bytes
    label: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction that succeeded, `gas_price_wei` as actually paid."""

    tx_hash: TxHash
    block_number: BlockNumber
    block_hash: str
    gas_used: int
    gas_price_wei: Wei
