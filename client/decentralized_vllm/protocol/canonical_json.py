"""The one JSON encoding that is hashed, signed and published: RFC 8785, so every language agrees.

Keys are sorted by UTF-16 code unit, there is no white space, text is UTF-8. Integers lie within
±(2^53 - 1) and carry no point; floats are written as ECMAScript writes them (1.0 is `1`, 0.5 is
`0.5`, 1e21 is `1e+21`). NaN, infinities, lone surrogates, and floats that would be written as an
integer beyond those (1e20) have no encoding.
"""

import itertools
import json
import math
import re
from functools import partial
from typing import NoReturn, TypeAlias, Union

import rfc8785

from decentralized_vllm.protocol.documents import MAX_SAFE_INTEGER
from decentralized_vllm.protocol.errors import InvalidDocument

JsonValue: TypeAlias = Union[bool, int, float, str, "list[JsonValue]", "dict[str, JsonValue]", None]

MAX_JSON_DEPTH = 32
_FIRST_WITH_EXPONENT = 1e21  # as ECMAScript writes floats
_LEAST_PLAIN = 1e-4  # Python writes smaller ones with an exponent

# A whole string; an unfinished one reaches to the end. Linear in any input.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_MARKS = bytes(byte for byte in range(256) if byte not in b"[]{}:")
_PLAIN = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_STEPS = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]


def encode(value: JsonValue) -> bytes:
    """Raises InvalidDocument for what has no encoding."""
    try:
        if _is_plain(value):
            return _PLAIN.encode(value).encode()
        _check_floats(value)
        return rfc8785.dumps(value)
    except ValueError as error:
        raise InvalidDocument(f"no canonical JSON: {_reason(error)}") from error


def decode(data: bytes, *, max_bytes: int, max_fields: int | None = None) -> JsonValue:
    """Reads a stranger's JSON, canonical or not. Raises InvalidDocument.

    Stricter than `json.loads`: refuses NaN, numbers that overflow, a key given twice, text that
    UTF-8 can not carry, nesting deeper than MAX_JSON_DEPTH, and objects of more than `max_fields`.
    """
    if len(data) > max_bytes:
        raise InvalidDocument(f"{len(data)} bytes of JSON, more than {max_bytes}")
    try:
        text = data.decode("utf-8")
        check_depth(text)
        value: JsonValue = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            object_pairs_hook=partial(_object_of_unique_keys, max_fields=max_fields),
        )
    except UnicodeDecodeError as error:
        raise InvalidDocument(f"not UTF-8 at byte {error.start}") from error
    except ValueError as error:  # also an integer of thousands of digits
        raise InvalidDocument(f"not JSON: {error}") from error
    if "\\u" in text:  # UTF-8 itself carries no lone surrogate
        _check_texts(value)
    return value


def check_depth(
    text: str, *, most_brackets: int | None = None, most_fields: int | None = None
) -> None:
    """Raises InvalidDocument for text nested deeper than MAX_JSON_DEPTH, or of too much.

    To be asked before a parser that recurses: it overflows the stack of a process with a raised
    limit. A megabyte takes some 20 ms at the worst.
    """
    n_opening = text.count("[") + text.count("{")
    if n_opening <= MAX_JSON_DEPTH and most_brackets is None and most_fields is None:
        return
    data = text.encode("utf-8", "surrogatepass")
    marks = _STRINGS.sub(b"", data).translate(None, _NO_MARKS)
    brackets = marks.translate(None, b":")
    if most_brackets is not None and len(brackets) > most_brackets:
        raise InvalidDocument(f"JSON of more than {most_brackets // 2} arrays and objects")
    if most_fields is not None and len(marks) - len(brackets) > most_fields:
        raise InvalidDocument(f"JSON of more than {most_fields} fields")
    depths = itertools.accumulate(map(_STEPS.__getitem__, brackets))
    if max(depths, default=0) > MAX_JSON_DEPTH:
        raise InvalidDocument(f"JSON nested deeper than {MAX_JSON_DEPTH}")


def _reason(error: ValueError) -> str:
    """Repeats no number: one may have so many digits that Python refuses to."""
    if isinstance(error, UnicodeEncodeError):
        return "text holds a lone surrogate"
    is_number = not isinstance(error, rfc8785.CanonicalizationError)
    if is_number or isinstance(error, rfc8785.IntegerDomainError):
        return "a whole number is larger than 2^53 - 1"
    return str(error)


def _is_plain(value: object) -> bool:
    """Whether Python's own encoder, which is written in C, spells it as RFC 8785 does: keys that
    sort alike in every encoding, and no floats but those that both write alike."""
    if value is None or isinstance(value, str | bool):
        return True
    if isinstance(value, int):
        return -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER
    if isinstance(value, float):
        return _LEAST_PLAIN <= abs(value) < MAX_SAFE_INTEGER and not value.is_integer()
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain_key, value)) and all(map(_is_plain, value.values()))
    return False


def _is_plain_key(key: object) -> bool:
    return isinstance(key, str) and key.isascii()


def _check_floats(value: object) -> None:
    """Raises IntegerDomainError for one that is written as an integer which has no encoding."""
    if isinstance(value, float) and MAX_SAFE_INTEGER < abs(value) < _FIRST_WITH_EXPONENT:
        raise rfc8785.IntegerDomainError(int(value))
    if isinstance(value, list | tuple):
        for item in value:
            _check_floats(item)
    elif isinstance(value, dict):
        for item in value.values():
            _check_floats(item)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number overflows")
    return number


def _object_of_unique_keys(
    pairs: list[tuple[str, JsonValue]], max_fields: int | None
) -> dict[str, JsonValue]:
    if max_fields is not None and len(pairs) > max_fields:
        raise ValueError(f"an object of more than {max_fields} fields")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is given twice")
    return fields


def _check_texts(value: JsonValue) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_texts(item)


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidDocument("text holds a lone surrogate") from None
