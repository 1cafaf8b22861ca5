"""Carries out the deployment plan on a local chain, and the record it leaves.

Real networks are deployed by `scripts/deploy.py`; both follow protocol/deployment_plan.py.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils.abi import collapse_if_tuple
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from decentralized_vllm.chain.chain_view import read_view
from decentralized_vllm.chain.codec import exported_contract
from decentralized_vllm.chain.confirmation import View
from decentralized_vllm.chain.contracts.reader import hex_data
from decentralized_vllm.chain.fees import FeePolicy, first_fees
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.deployment_plan import (
    COORDINATOR,
    NetworkSettings,
    Step,
    constructor_names,
    constructor_values,
    deployment_steps,
    predicted_addresses,
)
from decentralized_vllm.protocol.errors import SettingError, TransactionFailed, WaitTimeout
from decentralized_vllm.protocol.ids import Address, BlockNumber, TxHash

POLL_S = 0.05
DEPLOY_TIMEOUT_S = 60.0

# 200 gas per byte stored and 16 per byte sent, and what constructors do; all four fit one block.
GAS_PER_BYTE = 216
FIXED_GAS = 2_500_000


class DeployedContract(BaseModel):
    """`arguments` are the constructor's by name; `abi_hash` names the ABI it was built with."""

    model_config = ConfigDict(frozen=True)

    address: Address
    block: BlockNumber
    transaction: TxHash
    abi_hash: str
    arguments: dict[str, Any]


class Deployment(BaseModel):
    """One network's contracts by the names of the plan's steps."""

    model_config = ConfigDict(frozen=True)

    chain_id: int
    contracts: dict[str, DeployedContract]

    @property
    def coordinator(self) -> DeployedContract:
        return self.contracts[COORDINATOR]

    @property
    def first_block(self) -> BlockNumber:
        return min(contract.block for contract in self.contracts.values())


_BY_CHAIN = TypeAdapter(dict[int, Deployment])


def read_deployments(path: Path) -> dict[int, Deployment]:
    """deployment.json: chain id → Deployment. Raises SettingError("deployment")."""
    try:
        return _BY_CHAIN.validate_json(path.read_bytes())
    except OSError as error:
        raise SettingError("deployment", f"{path} can not be read") from error
    except ValidationError as error:
        raise SettingError("deployment", f"{path} is not a record of deployments") from error


async def deploy(rpc: Rpc, deployer: LocalAccount, settings: NetworkSettings) -> Deployment:
    """One transaction per step, in the plan's order, with no other of this key between them.

    All are sent before the first is mined. Raises TransactionFailed, WaitTimeout and
    ChainUnavailable. It writes no file.
    """
    steps = deployment_steps(settings)
    view = await read_view(rpc, Address(deployer.address))
    addresses = predicted_addresses(steps, Address(deployer.address), view.nonce)
    hashes = [
        await _create(rpc, deployer, view, view.nonce + i, _creation_code(step, addresses))
        for i, step in enumerate(steps)
    ]
    contracts = {
        step.name: await _deployed(rpc, step, addresses, tx_hash)
        for step, tx_hash in zip(steps, hashes, strict=True)
    }
    return Deployment(chain_id=rpc.chain_id, contracts=contracts)


def _creation_code(step: Step, addresses: Mapping[str, Address]) -> bytes:
    exported = exported_contract(step.contract)
    constructor = next(e for e in exported["abi"] if e["type"] == "constructor")
    types = [collapse_if_tuple(parameter) for parameter in constructor["inputs"]]
    return bytes.fromhex(exported["bytecode"][2:]) + encode(
        types, constructor_values(step, addresses)
    )


async def _create(rpc: Rpc, deployer: LocalAccount, view: View, nonce: int, code: bytes) -> TxHash:
    """Not estimated: a registry's constructor asks a coordinator that is not mined yet."""
    fees = first_fees(FeePolicy(), view.base_fee_wei, view.tip_wei)
    fields: dict[str, Any] = {
        "type": 2,
        "chainId": rpc.chain_id,
        "nonce": nonce,
        "value": 0,
        "data": code,
        "gas": FIXED_GAS + GAS_PER_BYTE * len(code),
        "maxFeePerGas": fees.max_fee_wei,
        "maxPriorityFeePerGas": fees.tip_wei,
    }
    signed = deployer.sign_transaction(fields)
    return TxHash(await rpc.call("eth_sendRawTransaction", hex_data(signed.raw_transaction)))


async def _deployed(
    rpc: Rpc, step: Step, addresses: Mapping[str, Address], tx_hash: TxHash
) -> DeployedContract:
    receipt = await _receipt(rpc, step, tx_hash)
    if int(receipt["status"], 16) != 1:
        raise TransactionFailed(f"the deployment of {step.contract} reverted")
    return DeployedContract(
        address=addresses[step.name],
        block=BlockNumber(int(receipt["blockNumber"], 16)),
        transaction=tx_hash,
        abi_hash=exported_contract(step.contract)["abiHash"],
        arguments=dict(constructor_names(step, addresses)),
    )


async def _receipt(rpc: Rpc, step: Step, tx_hash: TxHash) -> dict[str, Any]:
    try:
        async with asyncio.timeout(DEPLOY_TIMEOUT_S):
            while True:
                receipt: dict[str, Any] | None = await rpc.call(
                    "eth_getTransactionReceipt", tx_hash
                )
                if receipt is not None:
                    return receipt
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise WaitTimeout(f"{step.contract} was not mined in {DEPLOY_TIMEOUT_S:.0f} s") from None
