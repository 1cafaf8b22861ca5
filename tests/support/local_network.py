"""A deployed network on anvil, with a model and a requester who has credit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.confirmer import SenderSettings
from decentralized_vllm.chain.deployment import Deployment, deploy
from decentralized_vllm.chain.feed import FeedSettings, LogFeed
from decentralized_vllm.chain.log_source import coordinator_logs
from decentralized_vllm.chain.network import ChainSettings, Network, connect
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.chain.store import tables
from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.deployment_plan import (
    LOCAL_BOUNDS,
    NetworkSettings,
    public_network,
)
from decentralized_vllm.protocol.ids import Address, BlockNumber, Cid, JobId, ModelId
from decentralized_vllm.protocol.models import ModelInfo
from decentralized_vllm.protocol.nodes import Clocks
from decentralized_vllm.protocol.transactions import Call
from decentralized_vllm.protocol.units import tokens
from tests.support.anvil import Anvil, development_account

MODEL = ModelInfo(
    model_id=ModelId("tiny"),
    model_cid=Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"),
    name="Tiny",
    description="for tests",
    registered_at_s=0,
    is_active=True,
)
PROMPT_CID = Cid("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")

OWNER = development_account(0)
REQUESTER = development_account(1)
NODE = development_account(2)


def network_settings() -> NetworkSettings:
    owner = Address(OWNER.address)
    return replace(
        public_network(owner, owner),
        clocks=Clocks(grace_s=2, epoch_s=10, cool_down_s=20, max_attempts=4),
        bounds=LOCAL_BOUNDS,
        announce_delay_s=0,
    )


async def deployed_on(anvil: Anvil) -> Deployment:
    async with Rpc([anvil.url]) as rpc:
        return await deploy(rpc, OWNER, network_settings())


@asynccontextmanager
async def connected(
    deployment: Deployment, *urls: str, ws_url: str | None = None, timeout_s: float = 5.0
) -> AsyncIterator[Network]:
    settings = ChainSettings(
        urls, deployment.coordinator.address, ws_url=ws_url, rpc_timeout_s=timeout_s
    )
    async with connect(settings) as network:
        task = asyncio.create_task(network.hints.run())
        try:
            yield network
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def sending(
    network: Network,
    account: LocalAccount,
    folder: Path,
    *,
    settings: SenderSettings | None = None,
) -> AsyncIterator[OutboxSender]:
    async with AsyncExitStack() as stack:
        path = folder / f"{account.address}.sqlite"
        database = await stack.enter_async_context(Database(path))
        sender = await stack.enter_async_context(
            OutboxSender(
                rpc=network.rpc,
                hints=network.hints,
                database=database,
                identity=network.identity,
                account=account,
                lock_dir=folder,
                settings=settings or quick_settings(network),
            )
        )
        task = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def quick_settings(network: Network) -> SenderSettings:
    return replace(SenderSettings.for_chain(network.identity), poll_s=0.02, behind_patience_s=0.5)


@asynccontextmanager
async def feeding(
    network: Network,
    folder: Path,
    *,
    settings: FeedSettings | None = None,
    start_block: int | None = 1,
) -> AsyncIterator[LogFeed]:
    async with Database(folder / "feed.sqlite") as database:
        await database.add_tables(tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)
        yield LogFeed(
            rpc=network.rpc,
            hints=network.hints,
            database=database,
            chain=str(network.identity),
            source=coordinator_logs(network.coordinator.address),
            name="test",
            start_block=None if start_block is None else BlockNumber(start_block),
            settings=settings or FeedSettings(poll_s=0.02, rollback_patience_s=0.3),
        )


async def open_market(network: Network, folder: Path) -> None:
    """Registers the model and gives the requester 1000 tokens of credit."""
    coordinator = network.coordinator.address
    async with sending(network, OWNER, folder) as sender:
        for call in (
            network.model_registry.register_model(MODEL),
            network.token.transfer(Address(REQUESTER.address), tokens(5_000)),
        ):
            await sender.send(call, key=call.label)
            await sender.wait(call.label)
    async with sending(network, REQUESTER, folder) as sender:
        for call in (
            network.token.approve(coordinator, tokens(5_000)),
            network.requester_calls.deposit(tokens(1_000)),
        ):
            await sender.send(call, key=call.label)
            await sender.wait(call.label)


def prompt_call(network: Network) -> Call:
    return network.requester_calls.submit_prompt(PROMPT_CID, MODEL.model_id)


async def submit(network: Network, sender: OutboxSender, key: str) -> JobId:
    """Submits one prompt, waits until it is mined, and tells the number of the newest job."""
    await sender.send(prompt_call(network), key=key)
    await sender.wait(key)
    return JobId(await network.coordinator.job_count())
