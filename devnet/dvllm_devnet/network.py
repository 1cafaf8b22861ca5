"""A whole local network: chain, contracts, content, model, money and workers, in this order.

Every part is ended in reverse order, whatever ends the network.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from decentralized_vllm import AsyncClient
from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.chain.network import Network as ChainNetwork
from decentralized_vllm.chain.network import connect
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import format_tokens
from dvllm_devnet import saved_state
from dvllm_devnet.accounts import Cast, DevAccount, make_cast
from dvllm_devnet.bank import fill_credit, fill_wallet
from dvllm_devnet.chain_process import start_chain
from dvllm_devnet.console import Console
from dvllm_devnet.content_process import start_content
from dvllm_devnet.contracts import ensure_contracts
from dvllm_devnet.gateway_process import gateway_command, wait_for_gateway
from dvllm_devnet.gateway_setup import GatewayPlan, write_gateway_settings
from dvllm_devnet.layout import Layout
from dvllm_devnet.manifest import Manifest, ModelEntry, remove_manifest, write_manifest
from dvllm_devnet.model_source import build_model
from dvllm_devnet.network_plan import (
    NetworkPlan,
    addresses_of,
    gateway_plan,
    manifest_of,
    worker_plans,
)
from dvllm_devnet.ports import check_ports
from dvllm_devnet.processes import ChildProcess
from dvllm_devnet.programs import find_anvil
from dvllm_devnet.standing import commands_to_enlist, has_joined, is_on_duty, read_standing
from dvllm_devnet.worker_process import WorkerProcess
from dvllm_devnet.worker_setup import NetworkAddresses, worker_sections, write_settings


@dataclass(frozen=True, slots=True)
class Network:
    """A running network."""

    plan: NetworkPlan
    layout: Layout
    cast: Cast
    manifest: Manifest
    addresses: NetworkAddresses
    workers: tuple[WorkerProcess, ...]
    essential: tuple[ChildProcess, ...]  # without these nothing works

    def client(self, account: DevAccount) -> AsyncClient:
        """A client with that account's key; whoever takes it opens and closes it."""
        return make_client(self.plan, self.layout, self.manifest.contracts.coordinator, account)


@contextlib.asynccontextmanager
async def running_network(plan: NetworkPlan, console: Console) -> AsyncIterator[Network]:
    """Yields when the workers' engines answer and devnet.json is there.

    Raises SettingErrors (PortTaken, AlreadyRunning, UnusableState, MissingProgram), ProcessFailed
    and what building the model raises.
    """
    layout = Layout(plan.home)
    with saved_state.hold(layout):
        remove_manifest(layout.manifest)
        anvil = find_anvil(plan.root)
        check_ports(plan.settings.ports)
        if plan.is_fresh:
            saved_state.wipe(layout, keep_content=plan.keeps_content)
        for mend in saved_state.begin(layout):
            console.step(mend)
        async with contextlib.AsyncExitStack() as stack:
            chain = await start_chain(anvil, plan.settings.chain, layout)
            stack.push_async_callback(_stop_chain, chain, layout)
            yield await _Start(plan, layout, console, stack, chain).run()


async def _stop_chain(chain: ChildProcess, layout: Layout) -> None:
    """The last to go. Only a chain that ended by itself has saved all its blocks."""
    await chain.stop()
    if chain.exit_code == 0:
        saved_state.end(layout)


def make_client(
    plan: NetworkPlan, layout: Layout, coordinator: str, account: DevAccount
) -> AsyncClient:
    return AsyncClient(
        plan.rpc_url,
        coordinator,
        account.private_key,
        ipfs_host="127.0.0.1",
        ipfs_port=plan.settings.content.api_port,
        ws_url=plan.ws_url,
        data_dir=layout.clients / account.name,
        poll_s=0.5,
    )


class _Start:
    """Starts what stands on the chain, and hands everything that must be ended to `stack`."""

    def __init__(
        self,
        plan: NetworkPlan,
        layout: Layout,
        console: Console,
        stack: contextlib.AsyncExitStack,
        chain: ChildProcess,
    ) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._layout = layout
        self._console = console
        self._stack = stack
        self._chain = chain
        self._cast = make_cast(plan.settings.workers.count)
        self._gateways: list[ChildProcess] = []

    async def run(self) -> Network:
        self._console.step(f"chain {self._settings.chain.chain_id} at {self._plan.rpc_url}")
        content = await start_content(self._settings.content, self._layout)
        self._stack.push_async_callback(content.stop)
        self._console.step(f"content store at {self._plan.ipfs_api}")
        deployment = await self._deployed()
        addresses = addresses_of(self._plan, deployment)
        workers = self._workers(addresses)
        gateway = gateway_plan(self._settings, self._cast, self._layout)
        api_key: asyncio.Task[str] | None = None
        with self._console.waiting("the model is published, workers register and start engines"):
            async with connect(addresses.chain_settings) as network, asyncio.TaskGroup() as group:
                publishing = group.create_task(self._published(deployment))
                group.create_task(self._pay_requester(deployment))
                if gateway is not None:
                    bringing_up = self._bring_up_gateway(gateway, deployment, addresses)
                    api_key = group.create_task(bringing_up)
                for worker in workers:
                    group.create_task(self._bring_up(worker, network, deployment, publishing))
        model = publishing.result()
        manifest = manifest_of(
            self._plan,
            deployment,
            self._cast,
            model,
            gateway=None if gateway is None else gateway.entry,
            api_key=None if api_key is None else api_key.result(),
        )
        write_manifest(manifest, self._layout.manifest)
        self._stack.callback(remove_manifest, self._layout.manifest)
        return Network(
            plan=self._plan,
            layout=self._layout,
            cast=self._cast,
            manifest=manifest,
            addresses=addresses,
            workers=workers,
            essential=(self._chain, content, *self._gateways),
        )

    async def _deployed(self) -> Deployment:
        async with Rpc([self._plan.rpc_url]) as rpc:
            deployment = await ensure_contracts(
                rpc, self._layout, self._settings, self._cast.deployer
            )
        self._console.step(f"coordinator at {deployment.coordinator.address}")
        return deployment

    async def _published(self, deployment: Deployment) -> ModelEntry:
        """The model, on the content store and in the registry."""
        model = self._settings.model
        build = functools.partial(build_model, model, self._plan.root, self._console.step)
        directory = await asyncio.to_thread(build)
        async with self._client(deployment, self._cast.deployer) as client:
            await client.upload_model(directory, model.id, model.name)
            cid = next(each.cid for each in await client.list_models() if each.id == model.id)
        self._console.step(f"model {model.id} at {cid}")
        return ModelEntry(id=model.id, cid=cid, name=model.name)

    async def _pay_requester(self, deployment: Deployment) -> None:
        wanted = self._settings.requester
        async with self._client(deployment, self._cast.requester) as client:
            missing_wei = max(0, wanted.credit - (await client.balance()).credit_wei)
            await fill_wallet(client, Wei(wanted.tokens + missing_wei))
            await fill_credit(client, Wei(wanted.credit))
        self._console.step(f"requester has {format_tokens(wanted.credit)} NEURO of credit")

    def _workers(self, addresses: NetworkAddresses) -> tuple[WorkerProcess, ...]:
        """Not started yet; what will be started is ended."""
        workers = []
        for plan in worker_plans(self._settings, self._cast, self._layout):
            block_time_s = self._settings.chain.block_time_s
            sections = worker_sections(plan, addresses, self._plan.engine, block_time_s)
            write_settings(plan, sections)
            workers.append(WorkerProcess(plan, self._layout.logs))
        self._stack.push_async_callback(_stop_all, workers, self._chain)
        return tuple(workers)

    async def _bring_up(
        self,
        worker: WorkerProcess,
        network: ChainNetwork,
        deployment: Deployment,
        publishing: asyncio.Task[ModelEntry],
    ) -> None:
        """Registers and stakes while the model is still being published."""
        address = worker.plan.account.address
        has_staked = await self._enlist(worker, network, deployment)
        model_id = (await publishing).id
        if has_staked or not await has_joined(network, address, model_id):
            await worker.run(("serve-model", model_id))
        await worker.start()
        self._console.step(f"{worker.name} starts its engine")
        why_paused = await worker.wait_until_ready(functools.partial(is_on_duty, network, address))
        told = f"takes no jobs: {why_paused}" if why_paused else f"serves {model_id}"
        self._console.step(f"{worker.name} {told} at {worker.plan.url}")

    async def _bring_up_gateway(
        self, plan: GatewayPlan, deployment: Deployment, addresses: NetworkAddresses
    ) -> str:
        """The API key of its user."""
        # Networks without a gateway start faster without its libraries.
        from dvllm_devnet.gateway_user import ensure_user

        async with self._client(deployment, plan.account) as client:
            await fill_wallet(client, Wei(plan.settings.tokens))
        write_gateway_settings(plan, addresses)
        api_key = await ensure_user(plan)
        child = await ChildProcess.start(gateway_command(plan), self._layout.logs)
        self._gateways.append(child)
        self._stack.push_async_callback(child.stop)
        await wait_for_gateway(child, plan)
        self._console.step(
            f"gateway at {plan.entry.url}, the documented API at {plan.entry.dvllm_url}"
        )
        return api_key

    async def _enlist(
        self, worker: WorkerProcess, network: ChainNetwork, deployment: Deployment
    ) -> bool:
        """Whether there is new stake, for which a node joins again."""
        plan = worker.plan
        standing = await read_standing(network, plan.account.address)
        missing_wei = standing.missing_stake_wei(plan)
        async with self._client(deployment, plan.account) as client:
            await fill_wallet(client, missing_wei)
        for command in commands_to_enlist(standing, plan):
            await worker.run(command)
        return missing_wei > 0

    def _client(self, deployment: Deployment, account: DevAccount) -> AsyncClient:
        return make_client(self._plan, self._layout, deployment.coordinator.address, account)


async def _stop_all(workers: Iterable[WorkerProcess], chain: ChildProcess) -> None:
    """A worker says goodbye on chain; without one it would only wait in vain."""
    if chain.exit_code is None:
        await asyncio.gather(*(worker.stop() for worker in workers))
    else:
        await asyncio.gather(*(worker.kill() for worker in workers))
