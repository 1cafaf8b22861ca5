"""An answer is cut before the first stop string, however it is cut into pieces."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from dvllm_worker.engines.stop_strings import StopCutter


def cut(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    cutter = StopCutter(stops)
    shown = ""
    for piece in pieces:
        shown += cutter.feed(piece)
    return shown + cutter.flush(), cutter.is_hit


def test_cutter__stop_across_pieces__cut_before_it() -> None:
    assert cut(["Hello E", "N", "D world"], ["END"]) == ("Hello ", True)


def test_cutter__start_of_a_stop_that_goes_on_differently__shown() -> None:
    assert cut(["Hello EN", "VY"], ["END"]) == ("Hello ENVY", False)


def test_cutter__start_of_a_stop_at_the_end__shown_by_flush() -> None:
    cutter = StopCutter(["END"])
    assert cutter.feed("EN") == ""
    assert cutter.flush() == "EN"


def test_cutter__several_stops__first_in_the_text_wins() -> None:
    assert cut(["one two three"], ["three", "two"]) == ("one ", True)


def test_cutter__after_a_hit__silent() -> None:
    cutter = StopCutter(["."])
    assert cutter.feed("a.b") == "a"
    assert cutter.feed("c") == ""
    assert cutter.flush() == ""


def test_cutter__no_stops__nothing_held_back() -> None:
    cutter = StopCutter([])
    assert cutter.feed("abc") == "abc"


@given(
    text=st.text("abc", max_size=30),
    stop=st.text("abc", min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 30), max_size=8),
)
def test_cutter__any_pieces__same_as_cutting_the_whole_text(
    text: str, stop: str, cuts: list[int]
) -> None:
    bounds = [0, *sorted(min(each, len(text)) for each in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(bounds)]
    assert cut(pieces, [stop]) == (text.split(stop)[0], stop in text)
