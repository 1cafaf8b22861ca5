"""Text comes out in whole characters and, put together, as if decoded at once."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from dvllm_worker.engines.token_text import TokenText

SPECIAL = 256


def decode_bytes(token_ids: Sequence[int]) -> str:
    """A byte-level tokenizer at its plainest: a token is a byte, one more token is special."""
    return bytes(each for each in token_ids if each != SPECIAL).decode(errors="replace")


WORDS = ["\u2581the", "\u2581fox", "es", "\u2581", "x"]


def decode_words(token_ids: Sequence[int]) -> str:
    """Like SentencePiece's: a mark stands for a space, and the very first space is dropped."""
    return "".join(WORDS[each] for each in token_ids).replace("\u2581", " ").removeprefix(" ")


def test_feed__bytes_of_one_character__text_at_the_last_of_them() -> None:
    text = TokenText(decode_bytes)
    assert [text.feed(byte) for byte in "é!".encode()] == ["", "é", "!"]


def test_flush__character_never_completed__replacement() -> None:
    text = TokenText(decode_bytes)
    assert text.feed("é".encode()[0]) == ""
    assert text.flush() == "\ufffd"
    assert text.flush() == ""


def test_feed__special_token__no_text() -> None:
    text = TokenText(decode_bytes)
    assert text.feed(ord("a")) == "a"
    assert text.feed(SPECIAL) == ""
    assert text.feed(ord("b")) == "b"


@given(st.lists(st.integers(0, SPECIAL), max_size=60))
def test_pieces__any_bytes__together_the_decoded_whole(token_ids: list[int]) -> None:
    text = TokenText(decode_bytes)
    pieces = [text.feed(each) for each in token_ids]
    assert "".join(pieces) + text.flush() == decode_bytes(token_ids)


@given(st.lists(st.integers(0, len(WORDS) - 1), max_size=30))
def test_pieces__words_with_marked_spaces__together_the_decoded_whole(token_ids: list[int]) -> None:
    text = TokenText(decode_words)
    pieces = [text.feed(each) for each in token_ids]
    assert "".join(pieces) + text.flush() == decode_words(token_ids)


@given(st.text(max_size=30))
def test_pieces__text__no_replacement_before_the_end(words: str) -> None:
    text = TokenText(decode_bytes)
    pieces = [text.feed(byte) for byte in words.encode()]
    assert "".join(pieces) == words.rstrip("\ufffd")
