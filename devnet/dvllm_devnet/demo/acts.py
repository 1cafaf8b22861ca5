"""The three jobs of the demonstration, on a running network."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from decentralized_vllm import AsyncClient, Task
from decentralized_vllm.protocol.errors import JobExpired
from decentralized_vllm.protocol.ids import Address
from dvllm_devnet.console import Console, Wait
from dvllm_devnet.demo.observer import Observer
from dvllm_devnet.demo.report import Delivery, Money, Refunded, TakenOver
from dvllm_devnet.demo.stages import stage_seconds
from dvllm_devnet.errors import DemoFailed
from dvllm_devnet.worker_process import WorkerProcess

_ANSWER_TIMEOUT_S = 300.0
_LOOK_AGAIN_S = 1.0
_FIRST_WORD_TIMEOUT_S = 10.0
_SECOND_ANSWER_S = 2.0  # long enough to be killed in the middle of it, by the speed of the first
_SECOND_ANSWER_TOKENS = (32, 496)  # at least, and at most
_TAKEOVER_TRIES = 3
_TAKEOVER_PROMPT = "Tell me a story about a lighthouse."
_REFUND_PROMPT = "Is anybody there?"


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything the acts play on. `client` is the requester's."""

    client: AsyncClient
    observer: Observer
    console: Console
    model_id: str
    fee_bps: int


async def paid_answer(stage: Stage, prompt: str, max_tokens: int) -> Delivery:
    """The first job: asked, answered, paid."""
    started_at, started_s = time.time(), time.monotonic()
    with stage.console.waiting("act 1: an answer") as wait:
        task = await stage.client.submit_task(
            prompt, stage.model_id, max_tokens=max_tokens, temperature=0.0
        )
        task = await _completed(stage, task, wait)
    total_s = time.monotonic() - started_s
    worker = _worker_of(task)
    times = await stage.observer.stage_times(stage.observer.worker_of(worker), task.id)
    if task.response_cid is None or task.response_tx is None or task.document is None:
        raise DemoFailed(f"job {task.id} is completed without an answer")
    return Delivery(
        job_id=task.id,
        model_id=task.model_id,
        prompt_cid=task.prompt_cid,
        response_cid=task.response_cid,
        text=task.document.text,
        engine=task.document.engine.name,
        worker=worker,
        worker_name=stage.observer.name_of(worker),
        request=await stage.observer.transaction("request", task.request_tx),
        response=await stage.observer.transaction("delivery", task.response_tx),
        usage=task.document.usage,
        finish_reason=task.document.finish_reason.value,
        money=Money(task.escrow_wei, task.price_wei or 0, stage.fee_bps),
        seconds=stage_seconds(times, started_at, total_s),
    )


async def takeover(stage: Stage, before: Delivery) -> TakenOver:
    """A job whose worker is killed while it answers, so that the other one takes it."""
    max_tokens = second_answer_tokens(before.usage.n_output_tokens, before.seconds.generate)
    for n_before in range(_TAKEOVER_TRIES):
        what = "act 2, played again: a takeover" if n_before else "act 2: a takeover"
        taken_over = await _killed_at_work(stage, what, max_tokens)
        if taken_over is not None:
            return taken_over
    raise DemoFailed(f"{_TAKEOVER_TRIES} times a worker had answered before it was killed")


async def _killed_at_work(stage: Stage, what: str, max_tokens: int) -> TakenOver | None:
    """None if the worker was quicker than whoever killed it; then it runs again."""
    with stage.console.waiting(what) as wait:
        task = await stage.client.submit_task(
            _TAKEOVER_PROMPT, stage.model_id, max_tokens=max_tokens, temperature=0.0
        )
        first = _worker_of(task)
        name = stage.observer.name_of(first)
        wait.milestone(f"{name} holds job {task.id}")
        await _first_word(stage.client, task)
        await stage.observer.worker_of(first).kill()
        wait.milestone(f"{name} is killed; its lease has to run out")
        task = await _completed(stage, task, wait, told=first)
        if _worker_of(task) == first:
            wait.milestone(f"{name} had answered already; it is started again")
            await stage.observer.worker_of(first).start_again()
            return None
    return await _taken_over(stage, task, first)


async def _taken_over(stage: Stage, task: Task, first: Address) -> TakenOver:
    second = _worker_of(task)
    return TakenOver(
        job_id=task.id,
        first_worker=first,
        first_name=stage.observer.name_of(first),
        second_worker=second,
        second_name=stage.observer.name_of(second),
        text=task.response or "",
        penalty_wei=await stage.observer.penalty_wei(task.id),
        transactions=await stage.observer.transactions(task.id),
    )


def second_answer_tokens(n_before: int, before_s: float) -> int:
    """A quick engine would have delivered 32 before anybody could kill it."""
    least, most = _SECOND_ANSWER_TOKENS
    wanted = _SECOND_ANSWER_S * n_before / max(before_s, 0.001)
    return round(min(max(wanted, least), most))


async def refund(stage: Stage) -> Refunded:
    """The last job: every worker is stopped, so it expires and the money comes back."""
    before = await stage.client.balance()
    with stage.console.waiting("act 3: a refund") as wait:
        wait.milestone("the workers are stopped")
        await stop_all(stage.observer.workers)
        task = await stage.client.submit_task(_REFUND_PROMPT, stage.model_id, max_tokens=16)
        wait.milestone(f"nobody is there; the time of job {task.id} has to run out")
        try:
            await stage.client.wait_for_completion(task, _ANSWER_TIMEOUT_S)
        except JobExpired as expired:
            amount_wei = expired.refund_wei
        else:
            raise DemoFailed(f"job {task.id} was answered though every worker is stopped")
    after = await stage.client.balance()
    if after.credit_wei + after.wallet_wei != before.credit_wei + before.wallet_wei:
        raise DemoFailed(f"the escrow of job {task.id} did not come back whole")
    return Refunded(task.id, amount_wei, await stage.observer.transactions(task.id))


async def stop_all(workers: tuple[WorkerProcess, ...]) -> None:
    await asyncio.gather(*(worker.stop() for worker in workers))


async def _completed(stage: Stage, task: Task, wait: Wait, *, told: Address | None = None) -> Task:
    """The completed task; until then tells who holds it and how many tokens there are."""
    telling = asyncio.create_task(_tell_progress(stage, task, wait, told))
    try:
        return await stage.client.wait_for_completion(task, _ANSWER_TIMEOUT_S)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell_progress(stage: Stage, task: Task, wait: Wait, told: Address | None) -> None:
    """Follows the job from one lease holder to the next; `told` is known already."""
    while True:
        if task.worker is not None and task.worker != told:
            told = task.worker
            name = stage.observer.name_of(told)
            wait.milestone(f"{name} holds job {task.id}")
            async for progress in stage.client.progress(task):
                wait.count(f"{name} wrote {progress.n_tokens} tokens of job {task.id}")
        await asyncio.sleep(_LOOK_AGAIN_S)
        task = await stage.client.get_task(task)


async def _first_word(client: AsyncClient, task: Task) -> None:
    """Until the node has begun to answer, as far as it tells; not for long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_WORD_TIMEOUT_S):
            async for _ in client.progress(task):
                return


def _worker_of(task: Task) -> Address:
    if task.worker is None:
        raise DemoFailed(f"job {task.id} was leased to nobody")
    return task.worker
