"""The arithmetic of sliding windows: what is left, and how long to wait for more."""

from math import floor

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.rate_windows import Window

RATE = Rate(100, 60)


def later(window: Window, seconds: float) -> Window:
    """The same caller, who called no more."""
    if seconds < window.rest_s:
        return Window(window.rate, window.previous, window.current, window.rest_s - seconds)
    beyond = seconds - window.rest_s
    if beyond < window.rate.window_s:
        return Window(window.rate, window.current, 0, window.rate.window_s - beyond)
    return Window(window.rate, 0, 0, 0.0)


@pytest.mark.parametrize(
    ("previous", "current", "rest_s", "used"),
    [(0, 0, 0.0, 0), (0, 7, 30.0, 7), (100, 0, 60.0, 100), (100, 10, 30.0, 60), (3, 0, 10.0, 0)],
)
def test_used__shares_of_the_last_window__count_while_in_sight(
    previous: int, current: int, rest_s: float, used: int
) -> None:
    assert Window(RATE, previous, current, rest_s).used() == used


def test_state__after_a_first_call__one_is_gone() -> None:
    state = Window(RATE, 0, 0, 0.0).state(1)
    assert (state.limit, state.remaining, state.reset_s) == (100, 99, 61)


def test_state__full__resets_no_sooner_than_a_call_is_allowed() -> None:
    window = Window(RATE, 0, 100, 10.0)
    state = window.state()
    assert state.remaining == 0
    assert state.reset_s == window.wait_s(1) == 11


WINDOWS = st.builds(
    Window,
    rate=st.builds(Rate, n_calls=st.integers(1, 500), window_s=st.integers(1, 7200)),
    previous=st.integers(0, 600),
    current=st.integers(0, 600),
    rest_s=st.floats(0.001, 1.0),
).map(lambda w: Window(w.rate, w.previous, w.current, w.rest_s * w.rate.window_s))


@example(Window(Rate(428, 107), previous=0, current=428, rest_s=53.5), 3)
@given(WINDOWS, st.integers(1, 500))
def test_wait__then_allowed_and_a_second_before_not(window: Window, n_calls: int) -> None:
    assume(n_calls <= window.rate.n_calls)
    wait_s = window.wait_s(n_calls)
    assert later(window, wait_s).allows(n_calls)
    if wait_s > 1:
        assert not later(window, wait_s - 1.001).allows(n_calls)


@given(WINDOWS)
def test_state__remaining__is_how_many_are_allowed(window: Window) -> None:
    remaining = window.state().remaining
    assert 0 <= remaining <= window.rate.n_calls
    assert window.allows(remaining) or remaining == 0
    assert not window.allows(remaining + 1)


@given(WINDOWS, st.integers(0, 500))
def test_state__of_calls_to_come__is_the_state_when_they_are_counted(
    window: Window, n_calls: int
) -> None:
    after = window._replace(current=window.current + n_calls)
    assert window.state(n_calls) == after.state()
    assert after.state().reset_s == max(floor(window.rest_s) + 1, after.wait_s(1))
