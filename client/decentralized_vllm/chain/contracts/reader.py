"""Reads of one contract at one address."""

from collections.abc import Sequence
from typing import Any

from decentralized_vllm.chain.codec import ContractAbi
from decentralized_vllm.chain.reverts import revert_error
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import ChainUnavailable, PermanentError
from decentralized_vllm.protocol.ids import Address, BlockNumber
from decentralized_vllm.protocol.transactions import Call

Block = BlockNumber | None  # None: the latest


class ContractReader:
    """Raises ChainUnavailable, AbiMismatch, and what `revert_error` makes of a revert."""

    def __init__(self, rpc: Rpc, abi: ContractAbi, address: Address) -> None:
        self.address = address
        self._rpc = rpc
        self._abi = abi

    async def read(self, signature: str, *arguments: Any, block: Block = None) -> tuple[Any, ...]:
        return (await self.read_many([(signature, arguments)], block=block))[0]

    async def read_many(
        self, reads: Sequence[tuple[str, Sequence[Any]]], *, block: Block = None
    ) -> list[tuple[Any, ...]]:
        """Several reads in one round trip; only a given `block` pins them to one state."""
        outcomes = await self.read_each(reads, block=block)
        return [_unless_refused(outcome) for outcome in outcomes]

    async def read_each(
        self, reads: Sequence[tuple[str, Sequence[Any]]], *, block: Block = None
    ) -> list[tuple[Any, ...] | PermanentError]:
        """As `read_many`; what a revert means stands in the place of the read that reverts."""
        functions = [self._abi.function(signature) for signature, _ in reads]
        tag = "latest" if block is None else hex(block)
        requests = [
            ("eth_call", [{"to": self.address, "data": hex_data(f.encode(*arguments))}, tag])
            for f, (_, arguments) in zip(functions, reads, strict=True)
        ]
        answers = await self._rpc.batch(requests)
        return [
            _refusal(answer, f.signature) or f.decode(_returned(answer, f.signature))
            for f, answer in zip(functions, answers, strict=True)
        ]

    def call(self, signature: str, *arguments: Any, label: str) -> Call:
        data = self._abi.function(signature).encode(*arguments)
        return Call(to=self.address, data=data, label=label)


def hex_data(data: bytes) -> str:
    return "0x" + data.hex()


def _unless_refused(outcome: tuple[Any, ...] | PermanentError) -> tuple[Any, ...]:
    if isinstance(outcome, PermanentError):
        raise outcome
    return outcome


def _refusal(answer: object, signature: str) -> PermanentError | None:
    if isinstance(answer, RpcError) and answer.is_revert:
        return revert_error(answer.data, call=signature)
    return None


def _returned(answer: object, signature: str) -> bytes:
    if isinstance(answer, RpcError):
        raise answer
    returned = bytes.fromhex(str(answer)[2:])
    if not returned:  # the node has not seen the block yet in which the contract was deployed
        raise ChainUnavailable(f"{signature}: the RPC endpoint finds no contract at its head")
    return returned
