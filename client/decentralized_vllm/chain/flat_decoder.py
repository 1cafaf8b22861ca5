"""Decodes lists of plain values, texts and structs of plain values, without a stream.

Just as strict as eth_abi, which does whatever is less flat, at several times the cost: events and
states are decoded for every job by everyone who follows the chain.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

from eth_abi.exceptions import DecodingError

WORD_BYTES = 32

# Gives the value whose head is the word at this place.
_Reader: TypeAlias = Callable[[bytes, int], Any]

_UINT = re.compile(r"uint([0-9]+)")


@cache
def flat_decoder(types: tuple[str, ...]) -> Callable[[bytes], tuple[Any, ...]] | None:
    """None for types that are not flat. What it gives raises DecodingError."""
    n_words = [len(_members(type_)) for type_ in types]
    readers = [_reader_of(type_, WORD_BYTES * sum(n_words)) for type_ in types]
    places = [WORD_BYTES * sum(n_words[:index]) for index in range(len(types))]
    placed = [(r, at) for r, at in zip(readers, places, strict=True) if r is not None]
    if len(placed) < len(types):
        return None
    return lambda data: tuple(reader(data, at) for reader, at in placed)


def _members(type_: str) -> list[str]:
    """Of a struct, which has a word for each in the place of one."""
    return type_[1:-1].split(",") if type_.startswith("(") else [type_]


def _reader_of(type_: str, n_head_bytes: int) -> _Reader | None:
    if type_ == "string":
        return _text_reader(n_head_bytes)
    if not type_.startswith("("):
        return _value_reader(type_)
    readers = [_value_reader(member) for member in _members(type_)]
    known = [reader for reader in readers if reader is not None]
    return _struct_reader(known) if len(known) == len(readers) and type_.endswith(")") else None


def _value_reader(type_: str) -> _Reader | None:
    if bits := _UINT.fullmatch(type_):
        return _uint_reader(1 << int(bits[1]))
    return {"address": _address, "bytes32": _word, "bool": _bool}.get(type_)


def _struct_reader(readers: Sequence[_Reader]) -> _Reader:
    def read(data: bytes, at: int) -> tuple[Any, ...]:
        return tuple(reader(data, at + WORD_BYTES * i) for i, reader in enumerate(readers))

    return read


def _word(data: bytes, at: int) -> bytes:
    word = data[at : at + WORD_BYTES]
    if len(word) < WORD_BYTES:
        raise DecodingError("the data ends before its last value")
    return word


def _uint_reader(limit: int) -> _Reader:
    def read(data: bytes, at: int) -> int:
        value = int.from_bytes(_word(data, at), "big")
        if value >= limit:
            raise DecodingError("a number is larger than its type")
        return value

    return read


_number = _uint_reader(1 << 256)
_is_set = _uint_reader(2)
_number_of_address = _uint_reader(1 << 160)


def _bool(data: bytes, at: int) -> bool:
    return bool(_is_set(data, at))


def _address(data: bytes, at: int) -> str:
    return f"0x{_number_of_address(data, at):040x}"


def _text_reader(n_head_bytes: int) -> _Reader:
    """Anyone can put bytes that are no UTF-8 into an event: that must not stop its readers."""

    def read(data: bytes, at: int) -> str:
        start = _number(data, at)
        if not n_head_bytes <= start < len(data):
            raise DecodingError("a text does not begin behind the list")
        begin = start + WORD_BYTES
        end = begin + _number(data, start)
        padded_end = begin + -(-(end - begin) // WORD_BYTES) * WORD_BYTES
        if padded_end > len(data) or any(data[end:padded_end]):
            raise DecodingError("a text is not padded with zeros to its last word")
        return data[begin:end].decode("utf-8", "replace")

    return read
