"""Events come out whole, however the bytes arrive."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvllm_worker.engines.sse import EventTooLong, SseParser

STREAM = b'data: {"a":1}\n\n: a comment\nevent: x\ndata: two\r\ndata:lines\r\n\r\ndata: [DONE]\n\n'
EVENTS = [b'{"a":1}', b"two\nlines", b"[DONE]"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_feed__stream_in_any_pieces__same_events(cuts: list[int]) -> None:
    parser = SseParser()
    bounds = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(bounds)]
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


def test_feed__unfinished_event__nothing() -> None:
    assert list(SseParser().feed(b"data: half")) == []


def test_feed__line_without_end__refused_at_the_limit() -> None:
    parser = SseParser(max_event_bytes=100)
    with pytest.raises(EventTooLong):
        for _ in range(3):
            list(parser.feed(b"data: " + b"x" * 50))


def test_feed__event_of_endless_lines__refused_at_the_limit() -> None:
    parser = SseParser(max_event_bytes=100)
    with pytest.raises(EventTooLong):
        for _ in range(20):
            list(parser.feed(b"data: 1234567890\n"))
