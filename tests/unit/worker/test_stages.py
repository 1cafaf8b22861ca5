"""Which stage may follow which."""

import pytest

from dvllm_worker.pipeline.stages import (
    CLOSED,
    FOLLOWERS,
    HELD,
    IllegalTransition,
    Stage,
    check_transition,
)


def test_followers__every_stage__has_an_entry() -> None:
    assert set(FOLLOWERS) == set(Stage)


def test_followers__every_held_stage__can_be_lost() -> None:
    assert all(Stage.LOST in FOLLOWERS[stage] for stage in HELD)


def test_followers__once_generated__never_generated_again() -> None:
    reachable = {Stage.GENERATED}
    while True:
        more = reachable | {
            follower for stage in reachable - CLOSED for follower in FOLLOWERS[stage]
        }
        if more == reachable:
            break
        reachable = more
    assert Stage.GENERATING not in reachable
    assert Stage.FETCHED not in reachable


def test_followers__once_submitting__never_handed_back() -> None:
    assert Stage.FAILING not in FOLLOWERS[Stage.SUBMITTING]
    assert Stage.FAILING not in FOLLOWERS[Stage.SUBMITTED]


@pytest.mark.parametrize("stage", list(Stage))
def test_check_transition__staying__allowed(stage: Stage) -> None:
    check_transition(stage, stage)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Stage.LEASED, Stage.SUBMITTED),
        (Stage.GENERATED, Stage.GENERATING),
        (Stage.FINAL, Stage.LEASED),
        (Stage.SEEN, Stage.FETCHED),
    ],
)
def test_check_transition__out_of_order__refused(old: Stage, new: Stage) -> None:
    with pytest.raises(IllegalTransition):
        check_transition(old, new)
