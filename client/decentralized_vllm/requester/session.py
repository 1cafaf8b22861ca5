"""Builds an open client's parts from its settings: the library's one composition root."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.keys import (
    account_from_environment,
    account_from_key,
    load_keystore,
)
from decentralized_vllm.chain.network import ChainSettings, Network, connect
from decentralized_vllm.chain.request_history import RequestHistory
from decentralized_vllm.content.http_client import ContentHttp, HttpTimeouts
from decentralized_vllm.protocol.amounts import wei_of
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.prompts import PromptDocument
from decentralized_vllm.requester.care import JobCare
from decentralized_vllm.requester.handlers import Handlers
from decentralized_vllm.requester.key_sender import KeySender
from decentralized_vllm.requester.mined import read_mined
from decentralized_vllm.requester.monitor import Monitor
from decentralized_vllm.requester.node_choice import NodeChoice
from decentralized_vllm.requester.node_door import NodeDoor
from decentralized_vllm.requester.node_sightings import NodeSightings
from decentralized_vllm.requester.node_sources import NodeSources
from decentralized_vllm.requester.offers import BlockOffers
from decentralized_vllm.requester.overdue import OverdueJobs
from decentralized_vllm.requester.own_store import OwnStore
from decentralized_vllm.requester.permits import Permits
from decentralized_vllm.requester.progress import ProgressReader
from decentralized_vllm.requester.publishing import Publishing
from decentralized_vllm.requester.purse import Purse, balance_of
from decentralized_vllm.requester.reader import TaskReader
from decentralized_vllm.requester.submission import Submission, Submitted
from decentralized_vllm.requester.tasks import Balance, Task
from decentralized_vllm.requester.waiting import Waiting
from decentralized_vllm.settings import ClientSettings


@dataclass(frozen=True, slots=True)
class Spender:
    """What only a client with a key has."""

    account: Address
    submission: Submission
    publishing: Publishing
    purse: Purse
    requests: RequestHistory
    progress: ProgressReader
    sender: KeySender


@dataclass(frozen=True, slots=True)
class Session:
    network: Network
    reader: TaskReader
    care: JobCare
    waiting: Waiting
    spender: Spender | None
    poll_s: float

    def require_spender(self) -> Spender:
        """Raises SettingError."""
        if self.spender is None:
            raise SettingError("private_key", "this needs a key", hint="or give a keystore")
        return self.spender

    def take_on(self, document: PromptDocument, submitted: Submitted) -> None:
        """Whoever holds the job asks for its prompt."""
        request = submitted.request
        self.care.remember(request.job_id, request.prompt_cid)
        self.reader.note(request.prompt_cid, document)
        if submitted.node is not None:
            self.care.offer(request.job_id, submitted.node)

    async def submitted_task(self, submitted: Submitted) -> Task:
        """As the chain tells it now. Raises ChainUnavailable, after long patience."""
        request = submitted.request
        return await read_mined(
            request.position.tx_hash,
            lambda: self.reader.task(request.job_id, with_answer=False),
        )

    async def balance(self) -> Balance:
        return await balance_of(self.network, self.require_spender().account)

    def monitor(self, handlers: Handlers) -> Monitor:
        """Of the account's jobs; those submitted here are known to the handlers already."""
        spender = self.require_spender()
        monitor = Monitor(
            self.network,
            spender.requests,
            self.reader,
            self.care,
            handlers,
            spender.progress,
            poll_s=self.poll_s,
        )
        for job_id in self.care.known():
            monitor.watch(job_id)
        return monitor


class SessionBuilder:
    """`open()` once; what it opened is closed by the stack it was given, in reverse order."""

    def __init__(self, settings: ClientSettings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._max_top_up_wei = wei_of(settings.max_top_up, "max_top_up")

    async def open(self) -> Session:
        """Raises SettingError and its kinds, and ChainUnavailable."""
        account = await self._account()
        network = await self._stack.enter_async_context(connect(chain_settings(self._settings)))
        self._check_key(network)
        store = OwnStore(self._settings)
        self._stack.push_async_callback(store.close)
        nodes = NodeSources(network.node_registry, public_only=public_only(self._settings, network))
        self._stack.push_async_callback(nodes.close)
        reader = TaskReader(network, nodes, store)
        if account is None:
            return self._session(network, reader, JobCare(None, None, None), None)
        spender, care = self._spender(network, account, store, nodes)
        return self._session(network, reader, care, spender)

    def _session(
        self, network: Network, reader: TaskReader, care: JobCare, spender: Spender | None
    ) -> Session:
        waiting = Waiting(network, reader, care, poll_s=self._settings.poll_s)
        return Session(network, reader, care, waiting, spender, self._settings.poll_s)

    def _spender(
        self, network: Network, account: LocalAccount, store: OwnStore, nodes: NodeSources
    ) -> tuple[Spender, JobCare]:
        address = Address(account.address)
        http = ContentHttp(HttpTimeouts(), public_only=public_only(self._settings, network))
        self._stack.push_async_callback(http.close)
        sender = KeySender(network, account, self._settings.data_path)
        self._stack.push_async_callback(sender.close)
        door = NodeDoor(http, account)
        offers = BlockOffers(nodes, door, store)
        self._stack.push_async_callback(offers.drain)
        permits = Permits(network, account)
        choice = NodeChoice(network.coordinator, NodeSightings(network, door))
        submission = Submission(
            network, address, sender, permits, store, choice, self._max_top_up_wei
        )
        self._stack.push_async_callback(submission.close)
        purse = Purse(network, address, sender, permits)
        self._stack.push_async_callback(purse.close)
        spender = Spender(
            account=address,
            submission=submission,
            publishing=Publishing(network, address, sender, store),
            purse=purse,
            requests=RequestHistory(network.rpc, network.coordinator.address, address),
            progress=ProgressReader(nodes, door, store),
            sender=sender,
        )
        overdue = OverdueJobs(network, sender) if self._settings.expire_overdue else None
        return spender, JobCare(address, offers, overdue)

    async def _account(self) -> LocalAccount | None:
        settings = self._settings
        if settings.private_key is not None:
            return account_from_key(settings.private_key)
        if settings.keystore is None:
            return None
        if settings.passphrase is None:
            raise SettingError("passphrase", f"is needed to open {settings.keystore}")
        return await asyncio.to_thread(load_keystore, Path(settings.keystore), settings.passphrase)

    def _check_key(self, network: Network) -> None:
        settings = self._settings
        if settings.local_key_only and settings.private_key is not None:
            account_from_environment(settings.private_key, network.identity.chain_id)


def chain_settings(settings: ClientSettings) -> ChainSettings:
    return ChainSettings(
        eth_node_url=settings.eth_node_urls,
        contract_address=settings.contract_address,
        ws_url=settings.ws_url,
        chain_id=settings.chain_id,
        first_block=settings.first_block,
    )


def public_only(settings: ClientSettings, network: Network) -> bool:
    """Whether nodes are talked to only where their address is one of the open internet."""
    wish = settings.private_endpoints
    return not (network.identity.is_local if wish is None else wish)
