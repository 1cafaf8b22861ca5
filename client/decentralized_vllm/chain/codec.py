"""Calls, results, events and custom errors of a contract, encoded and decoded by its ABI."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from eth_abi.abi import encode
from eth_abi.codec import ABIDecoder
from eth_abi.decoding import StringDecoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import BaseEquals
from eth_abi.registry import registry as default_registry
from eth_utils.abi import (
    abi_to_signature,
    collapse_if_tuple,
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
    function_signature_to_4byte_selector,
)
from eth_utils.address import to_checksum_address
from pydantic_core import from_json

from decentralized_vllm.chain.flat_decoder import flat_decoder
from decentralized_vllm.protocol.errors import AbiMismatch

ADDRESSES_KEPT = 4096
CONTRACT_NAMES = ("InferenceCoordinator", "ModelRegistry", "NodeProfileRegistry", "NetworkToken")


@dataclass(frozen=True, slots=True)
class Function:
    signature: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def encode(self, *arguments: Any) -> bytes:
        try:
            return self.selector + encode(self.inputs, arguments)
        except EncodingError as error:
            raise ValueError(f"{self.signature}: {error}") from error

    def decode(self, returned: bytes) -> tuple[Any, ...]:
        """Addresses come checksummed, structs as tuples. Raises AbiMismatch."""
        return _decoded(self.signature, self.outputs, returned)


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    topic: str
    indexed: tuple[str, ...]
    unindexed: tuple[str, ...]

    def decode(self, topics: list[str], data: bytes) -> tuple[Any, ...]:
        """The indexed values, then the others, each in the order of the ABI. Raises AbiMismatch."""
        if len(topics) != len(self.indexed) + 1:
            raise AbiMismatch("contract_address", f"event {self.name} has other topics than ours")
        packed = b"".join(bytes.fromhex(topic[2:]) for topic in topics[1:])
        return _decoded(self.name, self.indexed, packed) + _decoded(self.name, self.unindexed, data)


@dataclass(frozen=True, slots=True)
class CustomError:
    name: str
    selector: bytes
    inputs: tuple[str, ...]

    def decode(self, data: bytes) -> tuple[Any, ...]:
        return _decoded(self.name, self.inputs, data)


@dataclass(frozen=True, slots=True)
class ContractAbi:
    """Functions by full signature (they overload), events by name, errors by selector."""

    name: str
    functions: Mapping[str, Function] = field(repr=False)
    events: Mapping[str, Event] = field(repr=False)
    errors: Mapping[bytes, CustomError] = field(repr=False)

    def function(self, signature: str) -> Function:
        return self.functions[signature]


@cache
def contract_abi(name: str) -> ContractAbi:
    """Reads chain/abi/<name>.json, exported from the compiled contract."""
    entries = exported_contract(name)["abi"]
    functions = {f.signature: f for f in _functions(entries)}
    events = {e.name: e for e in _events(entries)}
    errors = {e.selector: e for e in _errors(entries)}
    return ContractAbi(name, functions, events, errors)


def exported_contract(name: str) -> dict[str, Any]:
    text = files("decentralized_vllm.chain").joinpath("abi", f"{name}.json").read_bytes()
    exported: dict[str, Any] = from_json(text)
    return exported


def _functions(entries: list[Any]) -> Iterator[Function]:
    for entry in (e for e in entries if e["type"] == "function"):
        yield Function(
            abi_to_signature(entry),
            function_abi_to_4byte_selector(entry),
            _types(entry["inputs"]),
            _types(entry["outputs"]),
        )


def _events(entries: list[Any]) -> Iterator[Event]:
    for entry in (e for e in entries if e["type"] == "event"):
        yield Event(
            entry["name"],
            "0x" + event_abi_to_log_topic(entry).hex(),
            _types([i for i in entry["inputs"] if i["indexed"]]),
            _types([i for i in entry["inputs"] if not i["indexed"]]),
        )


def _errors(entries: list[Any]) -> Iterator[CustomError]:
    for entry in (e for e in entries if e["type"] == "error"):
        selector = function_signature_to_4byte_selector(abi_to_signature(entry))
        yield CustomError(entry["name"], selector, _types(entry["inputs"]))


def _types(components: list[Any]) -> tuple[str, ...]:
    return tuple(collapse_if_tuple(component) for component in components)


def _decoded(what: str, types: tuple[str, ...], data: bytes) -> tuple[Any, ...]:
    try:
        decode = flat_decoder(types)
        values = _decoder().decode(types, data) if decode is None else decode(data)
    except (DecodingError, OverflowError) as error:
        raise AbiMismatch(
            "contract_address", f"{what} does not decode as this library expects"
        ) from error
    return tuple(_checksummed(type_, value) for type_, value in zip(types, values, strict=True))


class _LenientString(StringDecoder):
    """Anyone can put bytes that are no UTF-8 into an event: that must not stop its readers."""

    def __init__(self) -> None:
        super().__init__("replace")  # type: ignore[no-untyped-call]


@cache
def _decoder() -> ABIDecoder:
    lenient = default_registry.copy()  # type: ignore[no-untyped-call]
    lenient.unregister_decoder("string")
    lenient.register_decoder(BaseEquals("string"), _LenientString, label="string")  # type: ignore[no-untyped-call]
    return ABIDecoder(lenient)


@lru_cache(maxsize=ADDRESSES_KEPT)
def checksummed(address: str) -> str:
    """The same few addresses come again and again, and each costs a hash."""
    return str(to_checksum_address(address))


def _checksummed(type_: str, value: Any) -> Any:
    """Only plain addresses and arrays of them; structs checksum theirs where they are read."""
    if type_ == "address":
        return checksummed(value)
    if type_ == "address[]":
        return tuple(checksummed(item) for item in value)
    return value
