"""A real chain with the real contracts and as many nodes and models as a bench asks for.

Transactions are sent by impersonated accounts at gas price zero: nothing here needs keys or ether,
and what a transaction costs in gas does not depend on either.
"""

import json
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from eth_abi.abi import encode
from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types
from eth_utils.address import to_checksum_address
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.types import RPCEndpoint

from decentralized_vllm.protocol.deployment_plan import (
    COORDINATOR,
    LOCAL_BOUNDS,
    MODEL_REGISTRY,
    NODE_REGISTRY,
    TOKEN,
    NetworkSettings,
    constructor_values,
    deployment_steps,
    predicted_addresses,
)
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.nodes import Clocks
from decentralized_vllm.protocol.units import tokens
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
NPM_ANVIL = ROOT / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
BLOCK_GAS = 10**12
CALL_GAS = 16_000_000
START_TIMEOUT_S = 20
BATCH = 500  # requests in one HTTP body
PER_BLOCK = 1_000
FLAT = Terms(0, 0, 10**9, 10**9, 120, 300, 4_096, 2_048)
USAGE = Terms(10**5, 10**6, 10**7, 10**9, 120, 300, 4_096, 2_048)
EPOCH_S = 1_800
STAKE = tokens(1_000)


def account(kind: str, number: int) -> Address:
    """A made-up address that no key belongs to; every one has the same number of zero bytes."""
    digest = Web3.keccak(text=f"{kind} {number}").replace(b"\0", b"\1")
    return Address(to_checksum_address(digest[:20]))


OWNER = account("owner", 0)


def cid(kind: str, number: int) -> str:
    """59 characters, as long as a CIDv1 in base32."""
    return "bafybei" + Web3.keccak(text=f"{kind} {number}").hex()[2:54]


@contextmanager
def anvil() -> Iterator[str]:
    """The URL of a fresh chain that mines on request only."""
    program = str(NPM_ANVIL) if NPM_ANVIL.exists() else "anvil"
    port = free_port()
    argv = [program, "--quiet", "--port", str(port), "--accounts", "1", "--auto-impersonate"]
    argv += ["--no-mining", "--order", "fifo", "--base-fee", "0", "--gas-limit", str(BLOCK_GAS)]
    with subprocess.Popen(argv) as process:
        try:
            wait_for_listener(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for_listener(port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class GasNetwork:
    """The four contracts on one chain, and a way to call them."""

    def __init__(self, url: str) -> None:
        self.w3 = Web3(HTTPProvider(url, request_kwargs={"timeout": 120}))
        self.contracts: dict[str, Contract] = {}
        self._codecs: dict[tuple[str, str], tuple[bytes, list[str]]] = {}
        self._nonces: Counter[str] = Counter()  # anvil's own choice races within a batch
        self._deploy()

    def send(self, sender: Address, contract: str, signature: str, *arguments: Any) -> Any:
        """Mines one transaction in a block of its own and returns its receipt."""
        return self.send_request(self.transaction(sender, contract, signature, *arguments))

    def send_request(self, request: dict[str, Any]) -> Any:
        tx_hash = self.rpc("eth_sendTransaction", self._numbered(request))
        self.rpc("evm_mine")
        receipt = self.w3.eth.get_transaction_receipt(tx_hash)
        if receipt["status"] != 1:
            self.w3.eth.call(request)  # type: ignore[arg-type] # raises with the reason
        return receipt

    def send_many(self, requests: list[dict[str, Any]]) -> None:
        """Mines many transactions in few blocks. What they did is the caller's to check."""
        for start in range(0, len(requests), PER_BLOCK):
            chunk = requests[start : start + PER_BLOCK]
            for at in range(0, len(chunk), BATCH):
                self._post(chunk[at : at + BATCH])
            self.rpc("evm_mine")
            n_mined = int(self.rpc("eth_getBlockTransactionCountByNumber", "latest"), 16)
            assert n_mined == len(chunk), f"{n_mined} of {len(chunk)} mined"

    def transaction(
        self, sender: Address, contract: str, signature: str, *arguments: Any
    ) -> dict[str, Any]:
        return {
            "from": sender,
            "to": self.contracts[contract].address,
            "data": self.calldata(contract, signature, *arguments),
            "gas": hex(CALL_GAS),
            "gasPrice": "0x0",
        }

    def calldata(self, contract: str, signature: str, *arguments: Any) -> str:
        """As Contract.encode_abi, which takes milliseconds for each of a hundred thousand calls."""
        if (contract, signature) not in self._codecs:
            abi = self.contracts[contract].get_function_by_signature(signature).abi
            selector = function_abi_to_4byte_selector(abi)
            self._codecs[contract, signature] = selector, get_abi_input_types(abi)
        selector, types = self._codecs[contract, signature]
        return "0x" + (selector + encode(types, arguments)).hex()

    def view(self, contract: str, signature: str, *arguments: Any) -> Any:
        return self.contracts[contract].get_function_by_signature(signature)(*arguments).call()

    def code_sizes(self) -> dict[str, int]:
        """Contract → bytes of its code. The office answers at the coordinator's address."""
        addresses = {name: contract.address for name, contract in self.contracts.items()}
        addresses["office"] = self.view(COORDINATOR, "office()")
        return {name: len(self.w3.eth.get_code(address)) for name, address in addresses.items()}

    def rpc(self, method: str, *params: Any) -> Any:
        answer = self.w3.provider.make_request(RPCEndpoint(method), list(params))
        assert "error" not in answer, answer
        return answer["result"]

    def pass_time(self, seconds: int) -> None:
        self.rpc("evm_increaseTime", seconds)
        self.rpc("evm_mine")

    def _post(self, requests: list[dict[str, Any]]) -> None:
        provider = cast(HTTPProvider, self.w3.provider)
        method = RPCEndpoint("eth_sendTransaction")
        calls = [(method, [self._numbered(request)]) for request in requests]
        for answer in cast(list[Any], provider.make_batch_request(calls)):
            assert "error" not in answer, answer

    def _numbered(self, request: dict[str, Any]) -> dict[str, Any]:
        nonce = self._nonces[request["from"]]
        self._nonces[request["from"]] += 1
        return {**request, "nonce": hex(nonce)}

    def _deploy(self) -> None:
        steps = deployment_steps(settings())
        addresses = predicted_addresses(steps, OWNER, 0)
        for step in steps:
            exported = exported_contract(step.contract)
            factory = self.w3.eth.contract(abi=exported["abi"], bytecode=exported["bytecode"])
            data = factory.constructor(*constructor_values(step, addresses)).data_in_transaction
            request = {"from": OWNER, "data": data, "gas": hex(CALL_GAS), "gasPrice": "0x0"}
            receipt = self.send_request(request)
            assert receipt["contractAddress"] == addresses[step.name], "not where it was planned"
            self.contracts[step.name] = self.w3.eth.contract(
                to_checksum_address(addresses[step.name]), abi=exported["abi"]
            )


def exported_contract(name: str) -> Any:
    text = files("decentralized_vllm.chain").joinpath("abi", f"{name}.json").read_text("utf-8")
    return json.loads(text)


def settings() -> NetworkSettings:
    return NetworkSettings(
        owner=OWNER,
        treasury=account("treasury", 0),
        clocks=Clocks(grace_s=15, epoch_s=EPOCH_S, cool_down_s=604_800, max_attempts=4),
        announce_delay_s=0,
        fee_bps=200,
        stake_unit_wei=STAKE,
        publisher_bond_wei=tokens(10),
        no_show_reward_cap_wei=tokens(1),
        bounds=LOCAL_BOUNDS,
        default_terms=FLAT,
        supply_wei=tokens(10**9),
    )


def struct(terms: Terms) -> tuple[int, ...]:
    return (
        terms.input_price_gwei,
        terms.output_price_gwei,
        terms.flat_fee_gwei,
        terms.max_fee_gwei,
        terms.lease_s,
        terms.open_s,
        terms.max_input_tokens,
        terms.max_output_tokens,
    )


def populate(network: GasNetwork, n_nodes: int, n_models: int) -> None:
    """Versions 1 (flat) and 2 (by usage) with every node on their lists, then further models."""
    register = "registerModel(string,string,string,string,(uint40,uint40,uint48,uint48,uint16,uint16,uint24,uint24))"  # noqa: E501
    models = [("llama-3.1-8b-instruct", FLAT), ("llama-3.1-8b-by-usage", USAGE)]
    models += [(f"filler-model-{i:05}-instr", FLAT) for i in range(n_models - len(models))]
    network.send_many(
        [
            network.transaction(
                OWNER, MODEL_REGISTRY, register, name, cid("model", i), name, "", struct(terms)
            )
            for i, (name, terms) in enumerate(models)
        ]
    )
    operators = [account("node", i) for i in range(n_nodes)]
    network.send_many([r for o in operators for r in joining(network, o)])
    assert network.view(COORDINATOR, "versionCount()") == n_models
    for version in (1, 2):
        assert network.view(COORDINATOR, "version(uint256)", version)[3] == n_nodes


def joining(network: GasNetwork, operator: Address) -> list[dict[str, Any]]:
    """Everything an operator sends until it can be leased a job of either version."""
    coordinator = network.contracts[COORDINATOR].address
    return [
        network.transaction(operator, TOKEN, "faucet(address,uint256)", operator, STAKE),
        network.transaction(operator, TOKEN, "approve(address,uint256)", coordinator, STAKE),
        network.transaction(
            operator,
            NODE_REGISTRY,
            "registerNode(uint256,uint256,uint256,(string,bytes,string,address,uint16))",
            64_000,
            24_000,
            800,
            ("https://node.example:8701", b"", "eu-central", account("payout", 0), 8),
        ),
        network.transaction(operator, COORDINATOR, "stake(uint256)", STAKE),
        network.transaction(operator, COORDINATOR, "joinVersion(uint256,uint256)", 1, 32),
        network.transaction(operator, COORDINATOR, "joinVersion(uint256,uint256)", 2, 32),
    ]
