"""Token ids as a person types or pastes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.cli.token_ids import token_ids_in
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.prompts import MAX_TOKEN_ID

IDS = st.lists(st.integers(0, MAX_TOKEN_ID), min_size=1, max_size=50)
SPELLINGS = st.sampled_from(
    [
        lambda ids: " ".join(map(str, ids)),
        lambda ids: "".join(f"{each}\r\n" for each in ids),
        lambda ids: ",".join(map(str, ids)),
        lambda ids: f" [ {' , '.join(map(str, ids))} ]\n",
        repr,
    ]
)


@given(IDS, SPELLINGS)
def test_token_ids_in__any_spelling__is_what_is_meant(ids, spelled):
    assert token_ids_in(spelled(ids)) == tuple(ids)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the prompt is empty"),
        (" [ ] ", "the prompt is empty"),
        ("1 two 3", "index 1 is not a whole number"),
        ("1,,2", "index 1 is not a whole number"),
        ("1 2,", "index 2 is not a whole number"),
        ("[1 2", "index 0 is not a whole number"),
        ("[[1], [2]]", "index 0 is not a whole number"),
        ("1 -2", "index 1 is not a whole number"),
        ("1.0", "index 0 is not a whole number"),
        ("1_000", "index 0 is not a whole number"),
        ("\u0661", "index 0 is not a whole number"),
        ("9" * 5000, "index 0 is not a whole number"),
        ("1 2147483648", "index 1 is not from 0 to 2147483647"),
        ("1 " * 131_073, "131073 token ids, more than 131072"),
    ],
)
def test_token_ids_in__no_ids__names_option_and_place(text, told):
    with pytest.raises(SettingError) as caught:
        token_ids_in(text)
    assert caught.value.setting == "token_ids"
    assert told in caught.value.message
    assert "prompt: " not in caught.value.message
