"""Has a result the shape that its method promises? What has not is a fault of the endpoint.

Endpoints that are overloaded, or a proxy before them, answer `null` and worse where a list or a
number belongs.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA = re.compile(r"0x[0-9a-fA-F]*")
_WORD = re.compile(r"0x[0-9a-fA-F]{64}")


def is_sound(method: str, result: Any) -> bool:
    """True also for methods that nothing is known of here."""
    has_shape = _SHAPES.get(method)
    return has_shape is None or has_shape(result)


def _is_quantity(value: Any) -> bool:
    return isinstance(value, str) and _QUANTITY.fullmatch(value) is not None


def _is_data(value: Any) -> bool:
    return isinstance(value, str) and len(value) % 2 == 0 and _DATA.fullmatch(value) is not None


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _is_log(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("topics"), list):
        return False
    texts = (value.get("address"), value.get("blockHash"), value.get("transactionHash"))
    return (
        all(isinstance(text, str) for text in texts)
        and all(map(_is_word, value["topics"]))
        and _is_data(value.get("data"))
        and _is_quantity(value.get("blockNumber"))
        and _is_quantity(value.get("logIndex"))
    )


def _are_logs(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_log, value))


def _is_block(value: Any) -> bool:
    """None is a block that the endpoint does not have."""
    return value is None or (isinstance(value, dict) and isinstance(value.get("hash"), str))


def _is_receipt(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and _are_logs(value.get("logs")))


_SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "eth_blockNumber": _is_quantity,
    "eth_call": _is_data,
    "eth_chainId": _is_quantity,
    "eth_estimateGas": _is_quantity,
    "eth_gasPrice": _is_quantity,
    "eth_getBalance": _is_quantity,
    "eth_getBlockByNumber": _is_block,
    "eth_getCode": _is_data,
    "eth_getLogs": _are_logs,
    "eth_getTransactionCount": _is_quantity,
    "eth_getTransactionReceipt": _is_receipt,
}
