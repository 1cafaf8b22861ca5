"""How long the answer is that a worker is killed in the middle of."""

import pytest

from dvllm_devnet.demo.acts import second_answer_tokens


@pytest.mark.parametrize(
    ("n_before", "before_s", "expected"),
    [(48, 4.0, 32), (48, 2.0, 48), (48, 0.4, 240), (48, 0.13, 384), (48, 0.0, 384)],
)
def test_second_answer__takes_two_seconds_within_bounds(
    n_before: int, before_s: float, expected: int
) -> None:
    assert second_answer_tokens(n_before, before_s) == expected
