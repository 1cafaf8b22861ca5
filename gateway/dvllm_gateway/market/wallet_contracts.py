"""Wallets that are contracts: they are asked whether they accept a signature (EIP-1271, EIP-6492).

A stranger names both the contract and what it is called with: gas, time and numbers are bounded,
and nothing but the exact answer counts.
"""

import asyncio
from dataclasses import dataclass

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak

from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.market.failures import as_gateway_errors

CHECK_GAS = 1_000_000
DEPLOY_AND_CHECK_GAS = 4_000_000
TIMEOUT_S = 3.0
MAX_AT_ONCE = 8

_SELECTOR = keccak(text="isValidSignature(bytes32,bytes)")[:4]
# All 32 bytes: a contract that echoes its input, as one of the precompiles does, does not match.
_ACCEPTED = _SELECTOR + bytes(28)
_UNDEPLOYED = bytes.fromhex("6492") * 16


class ContractWallets:
    """`accepts` is False for an address without code, and for whatever goes wrong inside of it."""

    def __init__(self, rpc: Rpc, *, timeout_s: float = TIMEOUT_S) -> None:
        self._rpc = rpc
        self._timeout_s = timeout_s
        self._places = asyncio.Semaphore(MAX_AT_ONCE)

    async def accepts(self, wallet: Address, digest: bytes, signature: bytes) -> bool:
        """Raises NetworkUnavailable."""
        with as_gateway_errors():
            try:
                async with asyncio.timeout(self._timeout_s), self._places:
                    return await self._ask(wallet, digest, signature) == _ACCEPTED
            except TimeoutError:
                raise ChainUnavailable("no answer about a wallet in time") from None
            except RpcError as error:
                if error.is_rate_limit:
                    raise
                return False  # it reverted, ran out of gas, or is no code that can run

    async def _ask(self, wallet: Address, digest: bytes, signature: bytes) -> bytes:
        if not signature.endswith(_UNDEPLOYED):
            return await self._check(wallet, digest, signature)
        wrapped = _unwrap(signature)
        if wrapped is None:
            return b""
        if await self._has_code(wallet):
            return await self._check(wallet, digest, wrapped.signature)
        return await self._deploy_and_check(wallet, digest, wrapped)

    async def _check(self, wallet: Address, digest: bytes, signature: bytes) -> bytes:
        question = _question(digest, signature)
        return await self._call({"to": wallet, "data": _hex(question), "gas": hex(CHECK_GAS)})

    async def _deploy_and_check(
        self, wallet: Address, digest: bytes, wrapped: "_Undeployed"
    ) -> bytes:
        """Both in one call that leaves no trace on the chain."""
        program = _deploy_then_ask(wallet, wrapped, _question(digest, wrapped.signature))
        return await self._call({"data": _hex(program), "gas": hex(DEPLOY_AND_CHECK_GAS)})

    async def _has_code(self, wallet: Address) -> bool:
        return _bytes(await self._rpc.call("eth_getCode", wallet, "latest")) != b""

    async def _call(self, transaction: dict[str, str]) -> bytes:
        return _bytes(await self._rpc.call("eth_call", transaction, "latest"))


@dataclass(frozen=True, slots=True)
class _Undeployed:
    """What a wallet says of itself that is not deployed yet: who will do it, and how."""

    factory: Address
    deployment: bytes
    signature: bytes


def _unwrap(signature: bytes) -> _Undeployed | None:
    try:
        return _Undeployed(*decode(["address", "bytes", "bytes"], signature[:-32]))
    except (DecodingError, OverflowError):
        return None


def _question(digest: bytes, signature: bytes) -> bytes:
    return _SELECTOR + encode(["bytes32", "bytes"], [digest, signature])


def _deploy_then_ask(wallet: Address, wrapped: _Undeployed, question: bytes) -> bytes:
    """A program of the EVM, run as a contract's constructor: its "code" is the wallet's answer.

    Calls the factory, then the wallet, and returns its first 32 bytes, or zeros if it reverted.
    """
    data = wrapped.deployment + question
    end = len(data)
    run = b"".join(
        [
            # the factory: gas, address, value, input, output; whether it succeeds shows below
            _push(0) * 2 + _push(len(wrapped.deployment)) + _push(0) * 2,
            _push_address(wrapped.factory) + b"\x5a\xf1\x50",  # GAS CALL POP
            # the wallet, which can change nothing, into 32 bytes behind the data
            _push(32) + _push(end) + _push(len(question)) + _push(len(wrapped.deployment)),
            _push_address(wallet) + b"\x5a\xfa",  # GAS STATICCALL
            _push(end) + b"\x51\x02",  # MLOAD MUL: nothing of a revert counts
            _push(0) + b"\x52" + _push(32) + _push(0) + b"\xf3",  # MSTORE RETURN
        ]
    )
    # What comes first copies the data, which follows the program, to memory.
    n_loading = 3 * len(_push(0)) + 1
    load = _push(end) + _push(n_loading + len(run)) + _push(0) + b"\x39"  # CODECOPY
    return load + run + data


def _push(number: int) -> bytes:
    return b"\x61" + number.to_bytes(2, "big")  # PUSH2


def _push_address(address: Address) -> bytes:
    return b"\x73" + to_canonical_address(address)  # PUSH20


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _bytes(answer: object) -> bytes:
    return bytes.fromhex(str(answer)[2:])
