"""Is the code at an address the contract this library speaks to? Asked once, at start."""

from eth_utils.address import (
    is_checksum_address,
    is_checksum_formatted_address,
    is_hex_address,
    to_checksum_address,
)

from decentralized_vllm.chain.codec import ContractAbi, contract_abi
from decentralized_vllm.chain.contracts.reader import hex_data
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.errors import AbiMismatch, NoContract, SettingError
from decentralized_vllm.protocol.ids import Address


def checked_address(setting: str, text: str) -> Address:
    """Raises SettingError for what is no address, also for one whose checksum is wrong."""
    is_mistyped = is_checksum_formatted_address(text) and not is_checksum_address(text)
    if not is_hex_address(text) or is_mistyped:
        raise SettingError(setting, f"{text!r} is not an address", hint="0x and 40 hex digits")
    return Address(to_checksum_address(text))


async def verify_coordinator(rpc: Rpc, address: Address) -> None:
    """Raises NoContract, and AbiMismatch unless the code knows all our functions and events.

    Immutables make the code of every deployment differ, so its hash says nothing; but the
    compiler leaves each selector and each event topic in the code as a constant. The coordinator
    runs a part of its functions by the code of its `office`.
    """
    code = await _code(rpc, address)
    if not code:
        raise NoContract(
            "contract_address",
            f"there is no contract at {address} on chain {rpc.chain_id}",
            hint="wrong network, or a local chain that was started afresh?",
        )
    abi = contract_abi("InferenceCoordinator")
    office = abi.function("office()")
    if office.selector in code:
        request = {"to": address, "data": hex_data(office.selector)}
        returned = bytes.fromhex((await rpc.call("eth_call", request, "latest"))[2:])
        code += await _code(rpc, office.decode(returned)[0])
    missing = missing_from(code, abi)
    if missing:
        raise AbiMismatch(
            "contract_address",
            f"{address} is not the {abi.name} of this release: it lacks {', '.join(missing[:3])}",
            hint="use the library release that belongs to this deployment",
        )


async def _code(rpc: Rpc, address: str) -> bytes:
    return bytes.fromhex((await rpc.call("eth_getCode", address, "latest"))[2:])


def missing_from(code: bytes, abi: ContractAbi) -> list[str]:
    """Functions and events of the ABI whose selector or topic does not occur in the code."""
    functions = [f.signature for f in abi.functions.values() if _constant(f.selector) not in code]
    topics = ((e.name, bytes.fromhex(e.topic[2:])) for e in abi.events.values())
    return functions + [name for name, topic in topics if _constant(topic) not in code]


def _constant(value: bytes) -> bytes:
    """As the compiler pushes it: without leading zeros."""
    return value.lstrip(b"\0")
