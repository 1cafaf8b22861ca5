"""One job on real contracts, driven second by second and read back in the words of the model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from eth_typing import ABIError
from eth_utils.abi import abi_to_signature
from eth_utils.crypto import keccak

from decentralized_vllm.protocol.deployment_plan import COORDINATOR, NODE_REGISTRY, TOKEN
from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, Wei
from decentralized_vllm.protocol.job_machine import (
    Action,
    Cancel,
    Deliver,
    Expire,
    HandBack,
    JobClocks,
    JobModel,
    Take,
    submit,
)
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.units import tokens
from tests.bench.gas_network import USAGE, GasNetwork, account, cid, populate

CLOCKS = JobClocks(lease_s=120, open_s=300, grace_s=15, max_attempts=4)
REQUESTER = account("requester", 0)
NODES = tuple(account("node", i) for i in range(3))
STRANGER = account("stranger", 0)
MODEL_ID = "llama-3.1-8b-by-usage"
GWEI = 10**9
CREDIT = tokens(10_000)


@dataclass(frozen=True)
class Money:
    """In wei. `earned` and `staked` are by node; `fees` are the treasury's."""

    credit: dict[Address, int]
    earned: dict[Address, int]
    staked: dict[Address, int]
    fees: int


class JobMarket:
    """Three nodes with slots and stake to spare, a requester with credit, and time."""

    def __init__(self, url: str) -> None:
        self.network = GasNetwork(url)
        populate(self.network, n_nodes=len(NODES), n_models=2)
        coordinator = self.network.contracts[COORDINATOR].address
        block: Any = self.network.w3.eth.get_block("latest")
        self.now_s: int = block["timestamp"]
        self._done(REQUESTER, TOKEN, "faucet(address,uint256)", REQUESTER, CREDIT)
        self._done(REQUESTER, TOKEN, "approve(address,uint256)", coordinator, CREDIT)
        self._done(REQUESTER, COORDINATOR, "deposit(uint256)", CREDIT)

    def submit(self, share: int, node: Address | None) -> JobModel:
        """Leased to the node, or Open where none is free: then all are off duty for a moment."""
        named = ZERO_ADDRESS if node is None else node
        if node is None:
            self._set_slots(0)
        signature = "submitPrompt(string,string,uint256,uint8,address)"
        prompt = cid("prompt", 0)
        self._done(REQUESTER, COORDINATOR, signature, prompt, MODEL_ID, CREDIT, share, named)
        submitted_s = self.now_s
        if node is None:
            self._set_slots(8)
        return submit(REQUESTER, self.job().escrow_wei, node, CLOCKS, submitted_s)

    def act(self, action: Action, wait_s: int) -> str | None:
        """Acts `wait_s` seconds from now, at least one. The name of the custom error, if any."""
        sender, signature, arguments = self._call(action)
        self.now_s += wait_s - 1
        return self._send(sender, COORDINATOR, signature, *arguments)

    @contextmanager
    def life(self) -> Iterator[None]:
        """What happens within did not happen afterwards."""
        snapshot, now_s = self.network.rpc("evm_snapshot"), self.now_s
        try:
            yield
        finally:
            self.network.rpc("evm_revert", snapshot)
            self.now_s = now_s

    def recover(self) -> None:
        """Puts nodes on duty again that were punished, so that they can take jobs."""
        for node in NODES:
            if self.network.view(COORDINATOR, "node(address)", node)[11]:
                self._done(node, COORDINATOR, "resume()")

    def job(self) -> JobModel:
        job_id = self.network.view(COORDINATOR, "jobCount()")
        requester, node, until_s, _, status, attempts, _, _, escrow, _ = self.network.view(
            COORDINATOR, "job(uint256)", job_id
        )
        return JobModel(requester, JobStatus(status), node, until_s, attempts, Wei(escrow))

    def money(self) -> Money:
        parties = (REQUESTER, STRANGER, *NODES)
        accounts = {n: self.network.view(COORDINATOR, "node(address)", n) for n in NODES}
        return Money(
            credit={p: self.network.view(COORDINATOR, "credit(address)", p) for p in parties},
            earned={n: told[10] for n, told in accounts.items()},
            staked={n: told[4] for n, told in accounts.items()},
            fees=self.network.view(COORDINATOR, "collectableFees()"),
        )

    def price_wei(self, output_tokens: int) -> Wei:
        """Of an answer that read nothing; before it is capped by the escrow."""
        return Wei((USAGE.flat_fee_gwei + output_tokens * USAGE.output_price_gwei) * GWEI)

    def _call(self, action: Action) -> tuple[Address, str, tuple[Any, ...]]:
        job_id = self.network.view(COORDINATOR, "jobCount()")
        match action:
            case Deliver(node, price):
                digest = self.network.view(COORDINATOR, "job(uint256)", job_id)[9]
                n_tokens = (price // GWEI - USAGE.flat_fee_gwei) // USAGE.output_price_gwei
                signature = "submitResponse(uint256,string,bytes32,uint32,uint32)"
                return node, signature, (job_id, cid("answer", 0), digest, 0, n_tokens)
            case Take(node):
                return node, "takeJob(uint256)", (job_id,)
            case HandBack(node, code):
                return node, "failJob(uint256,uint8)", (job_id, int(code))
            case Expire():
                return STRANGER, "expireJob(uint256)", (job_id,)
            case Cancel(caller):
                return caller, "cancelJob(uint256)", (job_id,)

    def _set_slots(self, slots: int) -> None:
        for node in NODES:
            self._done(node, NODE_REGISTRY, "setSlots(uint16)", slots)

    def _done(self, sender: Address, contract: str, signature: str, *arguments: Any) -> None:
        error = self._send(sender, contract, signature, *arguments)
        assert error is None, f"{signature}: {error}"

    def _send(self, sender: Address, contract: str, signature: str, *arguments: Any) -> str | None:
        """Mines one transaction, in the next second."""
        self.now_s += 1
        request = self.network.transaction(sender, contract, signature, *arguments)
        tx_hash = self.network.rpc("eth_sendTransaction", request)
        self.network.rpc("evm_setNextBlockTimestamp", self.now_s)
        self.network.rpc("evm_mine")
        if int(self.network.rpc("eth_getTransactionReceipt", tx_hash)["status"], 16) == 1:
            return None
        trace = self.network.rpc("debug_traceTransaction", tx_hash, {"tracer": "callTracer"})
        return self._errors[trace["output"][:10]]

    @cached_property
    def _errors(self) -> dict[str, str]:
        abi = self.network.contracts[COORDINATOR].abi
        errors = [cast(ABIError, entry) for entry in abi if entry["type"] == "error"]
        return {"0x" + keccak(text=abi_to_signature(e))[:4].hex(): e["name"] for e in errors}
