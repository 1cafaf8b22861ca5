"""Canonical JSON: one spelling per value, and nothing of a stranger's that has none."""

import json
import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.errors import InvalidDocument

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=("Cs",)))
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcXYZ_09", max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(TREES)
def test_encode__any_tree__reads_back_equal_and_encodes_the_same(tree):
    data = canonical_json.encode(tree)
    assert json.loads(data) == tree
    assert canonical_json.encode(json.loads(data)) == data


@given(st.floats() | st.sampled_from([2.0**53, -1e16, 1e18, 9.99e20, 1e21, -1e22]))
def test_encode__any_float__is_refused_or_reads_back_and_encodes_the_same(number):
    """Written without a point, one beyond 2^53 would come back as an integer that has no form."""
    try:
        data = canonical_json.encode([number])
    except InvalidDocument:
        return
    read = canonical_json.decode(data, max_bytes=100)
    assert read == [number]
    assert canonical_json.encode(read) == data


WHOLE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.dictionaries(st.text("aé\ud83d\ufb33\U0001f600", max_size=2), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(TREES | WHOLE)
def test_encode__any_tree__as_the_library_of_the_standard_does(tree):
    try:
        expected = rfc8785.dumps(tree)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(InvalidDocument):
            canonical_json.encode(tree)
    else:
        assert canonical_json.encode(tree) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        (1.0, b"1"),
        (-0.0, b"0"),
        (1e21, b"1e+21"),
        (1e-7, b"1e-7"),
        (0.000001, b"0.000001"),
        ("é\n\x07", '"é\\n\\u0007"'.encode()),
    ],
)
def test_encode__known_value__spells_it_as_ecmascript_does(value, expected):
    assert canonical_json.encode(value) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, -(2**53), 2.0**53, 1e20, "\ud800"])
def test_encode__value_without_a_spelling__is_refused(value):
    with pytest.raises(InvalidDocument):
        canonical_json.encode([value])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[NaN]",
        b"[-Infinity]",
        b"[1e999]",
        b'{"a":1,"a":1}',
        b'["\\udfff"]',
        b'{"\\ud800":1}',
        b"\xff\xfe",
        b"\xef\xbb\xbf[]",
        b"[" + b"9" * 5000 + b"]",
        b"[" * 33 + b"]" * 33,
        b"[" * 200_000,
        b'{"a":' * 50_000,
        b'"' + b'\\"' * 100_000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_decode__hostile_bytes__are_refused(data):
    with pytest.raises(InvalidDocument):
        canonical_json.decode(data, max_bytes=1 << 20)


def test_decode__nesting_at_the_limit__is_read():
    data = b"[" * 31 + b"1" + b"]" * 31
    assert canonical_json.decode(data, max_bytes=100) is not None


def test_decode__one_byte_over_the_limit__is_refused():
    assert canonical_json.decode(b"[1]", max_bytes=3) == [1]
    with pytest.raises(InvalidDocument, match="more than 2"):
        canonical_json.decode(b"[1]", max_bytes=2)


@given(st.binary(max_size=200))
def test_decode__any_bytes__give_a_value_or_invalid_document(data):
    try:
        value = canonical_json.decode(data, max_bytes=150)
    except InvalidDocument:
        return
    assert json.loads(data) == value


def depth_read_plainly(text: str) -> int:
    depth = deepest = 0
    in_string = is_escaped = False
    for character in text:
        if is_escaped:
            is_escaped = False
        elif in_string:
            is_escaped, in_string = character == "\\", character != '"'
        elif character == '"':
            in_string = True
        else:
            depth += (character in "[{") - (character in "]}")
            deepest = max(deepest, depth)
    return deepest


@given(st.text(alphabet='[]{}"\\a,é\ud800', max_size=200), st.integers(0, 40))
def test_check_depth__any_text__as_read_plainly(text, n_around):
    text = "[" * n_around + text
    if depth_read_plainly(text) > canonical_json.MAX_JSON_DEPTH:
        with pytest.raises(InvalidDocument, match="deeper"):
            canonical_json.check_depth(text)
    else:
        canonical_json.check_depth(text)


def test_check_depth__more_fields_than_asked_for__refused():
    with pytest.raises(InvalidDocument, match="more than 1 fields"):
        canonical_json.check_depth('{"a:b":0,"c":1}', most_fields=1)
    canonical_json.check_depth('{"a:b":0,"c":1}', most_fields=2)


def test_check_depth__more_brackets_than_asked_for__refused():
    with pytest.raises(InvalidDocument, match="arrays and objects"):
        canonical_json.check_depth("[[]]", most_brackets=3)
    canonical_json.check_depth("[[]]", most_brackets=4)
