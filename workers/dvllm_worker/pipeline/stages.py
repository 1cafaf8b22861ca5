"""How far a node got with a job, and which steps may follow which."""

from enum import StrEnum

from decentralized_vllm.protocol.errors import PermanentError


class Stage(StrEnum):
    """A stage is durable before the outside effect that it names begins.

    Those without one (`leased` to `generating`, `published`, `submitted`) may be lost by a crash:
    they are reached again.
    """

    SEEN = "seen"  # another node's job, or nobody's: it may become ours
    TAKING = "taking"  # takeJob may have been sent
    LEASED = "leased"  # ours to answer
    FETCHED = "fetched"  # the prompt is here and valid
    GENERATING = "generating"  # the engine may be running
    GENERATED = "generated"  # the answer is on disk: never generate again
    PUBLISHED = "published"  # the answer can be read by its CID
    SUBMITTING = "submitting"  # submitResponse may have been sent
    SUBMITTED = "submitted"  # submitResponse is broadcast
    FINAL = "final"  # the delivery is confirmed
    FAILING = "failing"  # failJob may have been sent
    FAILED = "failed"  # handed back, or ended for its content
    LOST = "lost"  # somebody else's now, over, or gone with a re-organisation


CLOSED = frozenset({Stage.FINAL, Stage.FAILED, Stage.LOST})
HELD = frozenset(
    {
        Stage.LEASED,
        Stage.FETCHED,
        Stage.GENERATING,
        Stage.GENERATED,
        Stage.PUBLISHED,
        Stage.SUBMITTING,
    }
)
"""Stages of a lease that still needs an answer."""

FOLLOWERS: dict[Stage, frozenset[Stage]] = {
    Stage.SEEN: frozenset({Stage.TAKING, Stage.LEASED, Stage.LOST}),
    # A take that came too late leaves the job to watch again.
    Stage.TAKING: frozenset({Stage.SEEN, Stage.LEASED, Stage.LOST}),
    Stage.LEASED: frozenset({Stage.FETCHED, Stage.GENERATED, Stage.FAILING, Stage.LOST}),
    # Back to leased: the process ended between the two and starts over.
    Stage.FETCHED: frozenset({Stage.LEASED, Stage.GENERATING, Stage.FAILING, Stage.LOST}),
    Stage.GENERATING: frozenset({Stage.LEASED, Stage.GENERATED, Stage.FAILING, Stage.LOST}),
    Stage.GENERATED: frozenset({Stage.PUBLISHED, Stage.FAILING, Stage.LOST}),
    Stage.PUBLISHED: frozenset({Stage.SUBMITTING, Stage.FAILING, Stage.LOST}),
    # No way to `failing`: the answer may be public by now.
    Stage.SUBMITTING: frozenset({Stage.SUBMITTED, Stage.LOST}),
    Stage.SUBMITTED: frozenset({Stage.SUBMITTING, Stage.FINAL, Stage.LOST}),
    Stage.FINAL: frozenset({Stage.SUBMITTING, Stage.LOST}),  # a deep re-organisation
    Stage.FAILING: frozenset({Stage.FAILED, Stage.LOST}),
    # Leased again: drawn or taken once more, or a re-organisation brought the lease back.
    Stage.FAILED: frozenset({Stage.LEASED, Stage.LOST}),
    Stage.LOST: frozenset({Stage.SEEN, Stage.LEASED, Stage.GENERATED}),
}


class IllegalTransition(PermanentError):
    """A step out of order; always a defect of the caller."""


def check_transition(old: Stage, new: Stage) -> None:
    """Staying is allowed: a repeated step writes its facts again."""
    if new is not old and new not in FOLLOWERS[old]:
        raise IllegalTransition(f"a job that is {old} can not become {new}")
