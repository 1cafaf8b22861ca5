"""Signs transactions with a local key. The key itself never leaves this object."""

from typing import Any

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.contracts.reader import hex_data
from decentralized_vllm.chain.fees import Fees
from decentralized_vllm.chain.outgoing import Attempt
from decentralized_vllm.protocol.ids import Address, TxHash
from decentralized_vllm.protocol.transactions import Call

CANCELLATION_GAS = 21_000  # a plain transfer of nothing to oneself


class TransactionSigner:
    def __init__(self, account: LocalAccount, chain_id: int) -> None:
        self.address = Address(account.address)
        self._account = account
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
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": nonce,
            "to": to,
            "value": 0,
            "data": data,
            "gas": gas_limit,
            "maxFeePerGas": fees.max_fee_wei,
            "maxPriorityFeePerGas": fees.tip_wei,
        }
        signed = self._account.sign_transaction(fields)
        return Attempt(
            hash=TxHash(hex_data(signed.hash)),
            raw=bytes(signed.raw_transaction),
            nonce=nonce,
            fees=fees,
            is_cancellation=cancels,
        )
