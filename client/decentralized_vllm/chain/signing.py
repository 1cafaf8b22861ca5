"""Signs transactions with a local key. The key itself never leaves this object.

By hand, since eth_account derives the public key anew for each transaction and checks each field
several times: that is four times the work, and a node signs once per job.
"""

from typing import Any

import rlp  # type: ignore[import-untyped]
from coincurve import PrivateKey
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from decentralized_vllm.chain.contracts.reader import hex_data
from decentralized_vllm.chain.fees import Fees
from decentralized_vllm.chain.outgoing import Attempt
from decentralized_vllm.protocol.ids import Address, TxHash
from decentralized_vllm.protocol.transactions import Call

DYNAMIC_FEE = b"\x02"  # the type that EIP-1559 gave to transactions with a tip
CANCELLATION_GAS = 21_000  # a plain transfer of nothing to oneself


class TransactionSigner:
    def __init__(self, account: LocalAccount, chain_id: int) -> None:
        self.address = Address(account.address)
        self._key = PrivateKey(bytes(account.key))
        self._chain_id = chain_id

    def sign(self, call: Call, *, nonce: int, gas_limit: int, fees: Fees) -> Attempt:
        return self._attempt(call.to, call.data, nonce, gas_limit, fees)

    def sign_cancellation(self, *, nonce: int, fees: Fees) -> Attempt:
        """Uses up a nonce without any effect."""
        return self._attempt(self.address, b"", nonce, CANCELLATION_GAS, fees, cancels=True)

    def _attempt(
        self,
        to: Address,
        data: bytes,
        nonce: int,
        gas_limit: int,
        fees: Fees,
        cancels: bool = False,
    ) -> Attempt:
        fields = [
            *(self._chain_id, nonce, fees.tip_wei, fees.max_fee_wei, gas_limit),
            *(bytes.fromhex(to[2:]), 0, data, []),  # of no value, without an access list
        ]
        signature = self._key.sign_recoverable(keccak(_encoded(fields)), hasher=None)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        raw = _encoded([*fields, signature[64], r, s])
        return Attempt(
            hash=TxHash(hex_data(keccak(raw))),
            raw=raw,
            nonce=nonce,
            fees=fees,
            is_cancellation=cancels,
        )


def _encoded(fields: list[Any]) -> bytes:
    return DYNAMIC_FEE + bytes(rlp.encode(fields))
