"""Carries out an operator's order, or has the worker do it that runs with the same key."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import click

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.errors import KeyInUse
from dvllm_worker.commands._running import ask_to_do
from dvllm_worker.office.orders import Offices, Order
from dvllm_worker.office.treasury import Treasury
from dvllm_worker.onchain import Desk, load_account, open_desk_of, open_network
from dvllm_worker.settings import WorkerSettings


async def done(order: Order, settings: WorkerSettings) -> Result:
    """The same either way. Raises as the offices do, and NotAsked."""
    async with open_network(settings) as network, AsyncExitStack() as stack:
        account = load_account(settings, network.identity.chain_id)
        stack.enter_context(told_when_broken_off())
        try:
            desk = await stack.enter_async_context(open_desk_of(account, settings, network))
        except KeyInUse:
            return await ask_to_do(order, settings.http, account)
        return await order.done_by(_offices(desk, settings))


@contextmanager
def told_when_broken_off() -> Iterator[None]:
    """Whoever broke it off would else try again, and send twice."""
    try:
        yield
    except asyncio.CancelledError:
        told = "broken off: what was sent by then counts -> look at `worker status` before you try"
        click.echo(f"{told} again", err=True)
        raise


def _offices(desk: Desk, settings: WorkerSettings) -> Offices:
    # Brings the engines along: a command that asks is spared them.
    from dvllm_worker.commands._alone import CommandEnlistment

    return Offices(Treasury(desk), CommandEnlistment(desk, settings))
