"""A chain that does what a test writes: the RPC side of a feed, without a socket."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import WrongChain

COORDINATOR = "0x00000000000000000000000000000000000000C0"


@dataclass
class ScriptedChain:
    """Both the `Rpc` and the endpoint of a feed.

    `forks[number]` changes the hash of a block and of those above it. `hidden` logs (by job id)
    are left out of answers, `widest` refuses larger ranges, `lag` hides the newest blocks, and
    those below `oldest` are forgotten. Where `is_another` holds it is found to be another chain.
    """

    head: int = 0
    jobs: dict[int, int] = field(default_factory=dict)  # job id → block
    forks: dict[int, str] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    doctored: list[dict[str, Any]] = field(default_factory=list)
    widest: int | None = None
    lag: int = 0
    oldest: int = 0
    is_another: bool = False
    asked: list[tuple[int, int]] = field(default_factory=list)
    n_trips: int = 0
    name: str = "scripted"
    lags_noted: int = 0

    def healthiest(self) -> "ScriptedChain":
        return self

    def note_lag(self, head: int) -> None:
        self.lags_noted += 1

    async def confirm_chain(self) -> None:
        if self.is_another:
            raise WrongChain("eth_node_url", "it serves another chain")

    async def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        self.n_trips += 1
        return [self._answer(method, parameters) for method, parameters in requests]

    def hash_of(self, number: int) -> str:
        fork = "".join(name for start, name in self.forks.items() if start <= number)
        return "0x" + f"{fork}{number:x}".encode().hex().rjust(64, "0")

    def log_of(self, job_id: int) -> dict[str, Any]:
        number = self.jobs[job_id]
        return {
            "address": COORDINATOR,
            "topics": [
                contract_abi("InferenceCoordinator").events["JobOpened"].topic,
                f"0x{job_id:064x}",
            ],
            "data": f"0x{99:064x}",
            "blockNumber": hex(number),
            "blockHash": self.hash_of(number),
            "transactionHash": f"0x{job_id:064x}",
            "logIndex": hex(job_id),
        }

    def _answer(self, method: str, parameters: Sequence[Any]) -> Any:
        if method == "eth_getLogs":
            return self._logs(parameters[0])
        visible = self.head - self.lag
        number = visible if parameters[0] == "latest" else int(parameters[0], 16)
        if not self.oldest <= number <= visible:
            return None
        return {
            "number": hex(number),
            "hash": self.hash_of(number),
            "timestamp": hex(1_000 + number),
            "baseFeePerGas": "0x1",
        }

    def _logs(self, query: dict[str, Any]) -> Any:
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        self.asked.append((first, last))
        if self.widest is not None and last - first + 1 > self.widest:
            return RpcError(-32602, "query exceeds the range this node likes")
        visible = [j for j, n in self.jobs.items() if first <= n <= last and j not in self.hidden]
        return self.doctored + [self.log_of(job_id) for job_id in reversed(visible)]
