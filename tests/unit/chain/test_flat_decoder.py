"""The quick decoder of flat lists says what eth_abi says, of any bytes."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_abi.codec import ABIDecoder
from eth_abi.decoding import StringDecoder
from eth_abi.exceptions import DecodingError
from eth_abi.registry import BaseEquals, registry
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.chain.flat_decoder import flat_decoder

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "uint8": st.integers(0, 2**8 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "uint256": st.integers(0, 2**256 - 1),
    "address": st.binary(min_size=20, max_size=20).map(lambda data: "0x" + data.hex()),
    "bytes32": st.binary(min_size=32, max_size=32),
    "bool": st.booleans(),
    "string": st.text(max_size=80),
}
VALUES["(bool,uint64,address)"] = st.tuples(*(VALUES[n] for n in ("bool", "uint64", "address")))
LISTS = st.lists(st.sampled_from(sorted(VALUES)), max_size=5).map(tuple)


class Lenient(StringDecoder):
    def __init__(self) -> None:
        super().__init__("replace")  # type: ignore[no-untyped-call]


def reference() -> ABIDecoder:
    lenient = registry.copy()  # type: ignore[no-untyped-call]
    lenient.unregister_decoder("string")
    lenient.register_decoder(BaseEquals("string"), Lenient, label="string")  # type: ignore[no-untyped-call]
    return ABIDecoder(lenient)


REFERENCE = reference()


def outcome(decode: Any, data: bytes) -> Any:
    try:
        return decode(data)
    except (DecodingError, OverflowError):
        return "refused"


def agree(types: tuple[str, ...], data: bytes) -> bool:
    decode = flat_decoder(types)
    assert decode is not None
    return bool(outcome(decode, data) == outcome(lambda data: REFERENCE.decode(types, data), data))


@given(LISTS, st.data())
def test_decode__what_was_encoded__comes_back(types: tuple[str, ...], draw: st.DataObject) -> None:
    values = tuple(draw.draw(VALUES[type_]) for type_ in types)
    decode = flat_decoder(types)
    assert decode is not None
    assert decode(encode(types, values)) == values


@given(LISTS, st.data())
def test_decode__damaged__refused_or_read_just_as_eth_abi_does(
    types: tuple[str, ...], draw: st.DataObject
) -> None:
    data = bytearray(encode(types, tuple(draw.draw(VALUES[type_]) for type_ in types)))
    for _ in range(draw.draw(st.integers(1, 3))):
        if data:
            data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.integers(0, len(data)))
    assert agree(types, bytes(data))
    assert agree(types, bytes(data[:cut]))


@given(LISTS, st.binary(max_size=200))
def test_decode__any_bytes__refused_or_read_just_as_eth_abi_does(
    types: tuple[str, ...], data: bytes
) -> None:
    assert agree(types, data)


@pytest.mark.parametrize(
    "type_", ["uint8[]", "(uint8,string)", "(bool,(bool))", "(bool)[]", "bytes", "int256", "bytes4"]
)
def test_flat_decoder__not_flat__left_to_eth_abi(type_: str) -> None:
    assert flat_decoder(("uint256", type_)) is None
