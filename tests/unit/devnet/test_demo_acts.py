"""The second job: how long its answer is, and what if its worker was quicker than its killer."""

import io
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dvllm_devnet.console import Console
from dvllm_devnet.demo.acts import Stage, second_answer_tokens, takeover
from dvllm_devnet.errors import DemoFailed


@pytest.mark.parametrize(
    ("n_before", "before_s", "expected"),
    [(48, 4.0, 32), (48, 2.0, 48), (48, 0.4, 240), (48, 0.13, 496), (48, 0.0, 496)],
)
def test_second_answer__takes_two_seconds_within_bounds(
    n_before: int, before_s: float, expected: int
) -> None:
    assert second_answer_tokens(n_before, before_s) == expected


class QuickWorkers:
    """A market whose node answers before it can be killed, so many times."""

    def __init__(self, n_too_quick: int) -> None:
        self.n_too_quick = n_too_quick
        self.n_jobs = 0
        self.story: list[str] = []

    async def submit_task(self, *_: Any, **__: Any) -> SimpleNamespace:
        self.n_jobs += 1
        return SimpleNamespace(id=self.n_jobs, worker="first")

    async def progress(self, _: Any) -> AsyncIterator[None]:
        yield

    async def wait_for_completion(self, task: Any, _: float) -> SimpleNamespace:
        worker = "first" if task.id <= self.n_too_quick else "second"
        return SimpleNamespace(id=task.id, worker=worker, response="an answer")

    def worker_of(self, _: str) -> "QuickWorkers":
        return self

    def name_of(self, address: str) -> str:
        return address

    async def kill(self) -> None:
        self.story.append("kill")

    async def start_again(self) -> None:
        self.story.append("start")

    async def penalty_wei(self, _: int) -> int:
        return 7

    async def transactions(self, _: int) -> tuple[()]:
        return ()


async def second_act(workers: QuickWorkers, told: io.StringIO | None = None) -> Any:
    anything = cast("Any", workers)
    console = Console(for_json=True, stream=told)
    before = SimpleNamespace(
        usage=SimpleNamespace(n_output_tokens=48), seconds=SimpleNamespace(generate=1.0)
    )
    stage = Stage(anything, anything, console, "tiny", fee_bps=200)
    return await takeover(stage, cast("Any", before))


async def test_takeover__worker_answers_before_it_is_killed__is_played_again() -> None:
    workers = QuickWorkers(n_too_quick=2)
    taken_over = await second_act(workers)
    assert (taken_over.job_id, taken_over.second_worker) == (3, "second")
    assert workers.story == ["kill", "start", "kill", "start", "kill"]


async def test_takeover__played_again__says_so_and_numbers_the_act_not_its_job() -> None:
    told = io.StringIO()
    await second_act(QuickWorkers(n_too_quick=1), told)
    lines = [line.split(" s  ")[1].strip() for line in told.getvalue().splitlines()]
    assert [line for line in lines if "takeover" in line or "holds" in line] == [
        "act 2: a takeover",
        "first holds job 1",
        "act 2, played again: a takeover",
        "first holds job 2",
    ]


async def test_takeover__never_slow_enough__says_so() -> None:
    with pytest.raises(DemoFailed, match="before it was killed"):
        await second_act(QuickWorkers(n_too_quick=3))
