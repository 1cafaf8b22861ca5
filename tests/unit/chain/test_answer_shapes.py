"""Results that are not what their method promises: whoever answers so is out of order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.chain.answer_shapes import is_sound

LOG = {
    "address": "0x12",
    "blockHash": "0x34",
    "transactionHash": "0x56",
    "blockNumber": "0x7",
    "logIndex": "0x0",
    "topics": ["0x" + "12" * 32],
    "data": "0x",
}
METHODS = [
    "eth_getLogs",
    "eth_call",
    "eth_getBalance",
    "eth_getBlockByNumber",
    "eth_getTransactionReceipt",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("eth_getLogs", []),
        ("eth_getLogs", [LOG, LOG]),
        ("eth_call", "0x"),
        ("eth_getBalance", "0x0"),
        ("eth_getBlockByNumber", None),
        ("eth_getTransactionReceipt", None),
        ("eth_getTransactionReceipt", {"logs": [LOG]}),
        ("eth_sendRawTransaction", None),
    ],
)
def test_is_sound__what_nodes_answer__is(method: str, result: Any) -> None:
    assert is_sound(method, result)


@pytest.mark.parametrize("method", ["eth_getLogs", "eth_call", "eth_getBalance"])
@pytest.mark.parametrize("result", [None, 0, True, "", "zz", "0xzz", {}, [None], [{}]])
def test_is_sound__what_overloaded_ones_answer__is_not(method: str, result: Any) -> None:
    assert not is_sound(method, result)


@pytest.mark.parametrize("field", LOG)
def test_is_sound__log_without_a_field__is_not(field: str) -> None:
    log = {name: value for name, value in LOG.items() if name != field}
    assert not is_sound("eth_getLogs", [log])
    assert not is_sound("eth_getLogs", [{**LOG, field: None}])


@pytest.mark.parametrize("topic", ["0x12", "0x" + "12" * 33, "0x", None])
def test_is_sound__log_with_a_topic_that_is_no_word__is_not(topic: str | None) -> None:
    log = {**LOG, "topics": [*LOG["topics"], topic]}
    assert not is_sound("eth_getLogs", [log])
    assert not is_sound("eth_getTransactionReceipt", {"logs": [log]})


@given(st.sampled_from(METHODS), json_values)
def test_is_sound__whatever_json__is_told_without_an_error(method: str, result: Any) -> None:
    assert is_sound(method, result) in (True, False)
