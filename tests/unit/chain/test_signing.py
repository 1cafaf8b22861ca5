"""Signed bytes, held against eth_account's own."""

import pytest
from eth_account import Account

from decentralized_vllm.chain.fees import Fees
from decentralized_vllm.chain.signing import TransactionSigner
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.transactions import Call

TO = Address("0x00000000000000000000000000000000000000A1")


@pytest.mark.parametrize("chain_id", [1, 31337, 2**40])
@pytest.mark.parametrize("data", [b"", b"\0", b"\x7f", b"\x80", bytes(range(256)) * 3])
@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 2**63])
def test_sign__any_call__the_bytes_that_eth_account_signs(
    chain_id: int, data: bytes, nonce: int
) -> None:
    account = Account.create()
    fees = Fees(max_fee_wei=Wei(3 * 10**9), tip_wei=Wei(10**6))
    attempt = TransactionSigner(account, chain_id).sign(
        Call(TO, data, "the call"), nonce=nonce, gas_limit=80_000, fees=fees
    )
    expected = account.sign_transaction(
        {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "to": TO,
            "value": 0,
            "data": data,
            "gas": 80_000,
            "maxFeePerGas": fees.max_fee_wei,
            "maxPriorityFeePerGas": fees.tip_wei,
        }
    )
    assert attempt.raw == bytes(expected.raw_transaction)
    assert attempt.hash == expected.hash.to_0x_hex()
    assert Account.recover_transaction(attempt.raw) == account.address
