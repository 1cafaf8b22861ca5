"""Minutes of work on a whole network whose parts are killed and held up all the time.

    SOAK_S=600 SOAK_SEED=7 pytest -m long -s tests/e2e/test_soak.py

repeats the run with that seed, as far as the machine's own pace lets it.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random, SystemRandom

import pytest

from decentralized_vllm.protocol.errors import RetryableError
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.ids import account_of
from tests.support.anvil import running_anvil
from tests.support.gateway_process import GATEWAY_KEY
from tests.support.local_network import OWNER, REQUESTER, sending
from tests.support.soak import laws
from tests.support.soak.blows import CHAIN, draw_blows, strike
from tests.support.soak.memory import MemoryWatch
from tests.support.soak.town import ASKER, DEPOSITOR, GATEWAY_FUNDS_WEI, Town, town
from tests.support.soak.users import GatewayUser, LibraryUser, Notes
from tests.support.waiting import wait_until
from tests.support.worker_network import FIRST_WORKER, SECOND_WORKER

SOAK_S = float(os.environ.get("SOAK_S", "150"))
SEED = int(os.environ.get("SOAK_SEED") or SystemRandom().randrange(1 << 32))
CALM_S = 240.0
MEAN_LIFE_S = {"worker-1": 25.0, "worker-2": 25.0, "gateway": 30.0, "content": 30.0, CHAIN: 25.0}
USERS = ("ann", "bob", "cem")
DEPOSIT_WEI = tokens(1)
HOLDERS = (OWNER, REQUESTER, FIRST_WORKER, SECOND_WORKER, GATEWAY_KEY, ASKER, DEPOSITOR)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Town]:
    with running_anvil() as anvil:
        async with town(anvil, tmp_path) as place:
            yield place


async def deposit(place: Town, stop: asyncio.Event) -> int:
    """Sends tokens to the gateway's address now and then; how often."""
    net, keys = place.net, []
    call = net.network.token.transfer(Address(GATEWAY_KEY.address), DEPOSIT_WEI)
    async with sending(net.network, DEPOSITOR, net.folder) as sender:
        while not stop.is_set():
            keys.append(f"deposit {len(keys)}")
            while not await sender.knows(keys[-1]):
                with contextlib.suppress(RetryableError):
                    await sender.send(call, key=keys[-1])
            await asyncio.sleep(5)
        for key in keys:
            await sender.wait(key)
    return len(keys)


async def trouble(place: Town, stop: asyncio.Event) -> None:
    """All the blows, and then everybody is back on duty."""
    blows = draw_blows(Random(f"{SEED} blows"), SOAK_S, MEAN_LIFE_S)
    print(f"{len(blows)} blows: {Counter(blow.target for blow in blows)}")
    await strike(blows, place.wards, place.net.anvil)
    stop.set()
    for ward in place.wards:
        await ward.is_back()


async def live(place: Town) -> tuple[list[GatewayUser], LibraryUser, int]:
    """Load and trouble for SOAK_S seconds, then the wait for calm."""
    stop = asyncio.Event()
    users = [
        GatewayUser(
            name,
            place.gateway,
            await place.gateway.make_key(name, credit="200"),
            Random(f"{SEED} {name}"),
        )
        for name in USERS
    ]
    async with place.client() as client, asyncio.TaskGroup() as group:
        library = LibraryUser(client, Random(f"{SEED} library"))
        lives = [group.create_task(user.live(stop)) for user in (*users, library)]
        deposits = group.create_task(deposit(place, stop))
        await trouble(place, stop)
        await asyncio.wait([*lives, deposits])
        await library.settle_up(CALM_S)
    return users, library, deposits.result()


def report(notes: Sequence[Notes]) -> None:
    outcomes = sum((note.outcomes for note in notes), Counter())
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:6d} {outcome}")


async def stop_gateway(place: Town, watching: Sequence[asyncio.Task[None]]) -> None:
    """Told to stop, as for maintenance: its books are closed then."""
    for task in watching:
        task.cancel()
    place.gateway.terminate()
    assert await place.gateway.ended() == 0


@pytest.mark.long
@pytest.mark.timeout(SOAK_S + 2 * CALM_S + 300)
async def test_parts_die_at_any_moment__every_task_ends_and_the_books_agree(place: Town) -> None:
    print(f"SOAK_S={SOAK_S:g} SOAK_SEED={SEED}")
    memory = MemoryWatch(place.wards)
    loops = [memory.run(), *(ward.watch() for ward in place.wards)]
    watching = [asyncio.create_task(loop) for loop in loops]
    users, library, n_deposits = await live(place)
    notes = [*(user.notes for user in users), library.notes]
    report(notes)
    await wait_until(
        lambda: place.n_unfinished() == 0, what="the end of all tasks", patience_s=CALM_S
    )
    await stop_gateway(place, watching)

    network, gateway = place.net.network, Address(GATEWAY_KEY.address)
    jobs, books = await laws.jobs_on(network), await laws.books_of(place.database)
    print(f"{len(jobs)} jobs: {Counter(job.status.name for job in jobs.values())}")
    print(f"{len(books.tasks)} tasks: {Counter(task.state for task in books.tasks)}")
    laws.check_all_over(jobs)
    laws.check_tasks(books, set().union(*(user.notes.tasks for user in users)))
    laws.check_ledger(books)
    await laws.check_gateway_jobs(network, jobs, gateway, books)
    await laws.check_gateway_money(network, jobs, gateway, books, GATEWAY_FUNDS_WEI)
    await laws.check_solvency(network, jobs, [Address(a.address) for a in HOLDERS])
    depositor = account_of(Address(DEPOSITOR.address))
    assert books.deposited_wei(depositor) == n_deposits * DEPOSIT_WEI

    assert [wrong for note in notes for wrong in note.wrong] == []
    assert [end for ward in place.wards for end in ward.own_ends] == []
    for ward in place.wards:
        laws.check_log(ward.name, ward.program.log_text(), place.secrets)
    print(f"MiB early and late: {memory.growths()}")
    assert memory.growths()
    assert all(late <= 1.5 * early + 64 for early, late in memory.growths().values())
    for kind in ("chat", "stream", "stubborn_stream", "task", "library"):
        assert sum(note.outcomes[f"{kind}: answered"] for note in notes), f"no {kind} was answered"
