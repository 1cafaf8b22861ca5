"""The settings in the words of those parts that trade on the network."""

from decentralized_vllm import ClientSettings
from decentralized_vllm.chain.verification import checked_address
from decentralized_vllm.protocol.errors import InvalidAmount, SettingError
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.units import parse_tokens
from dvllm_gateway.market.deposits import DepositSettings
from dvllm_gateway.market.desk import Desk, TradeSettings
from dvllm_gateway.market.till import TillSettings
from dvllm_gateway.market.top_ups import TopUpSettings
from dvllm_gateway.services.event_bus import BusSettings
from dvllm_gateway.services.retention import Kept
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.settings import DepositsSection, GatewaySettings, KeySection
from dvllm_gateway.state import Database, LibraryTransactions
from dvllm_gateway.takings import Takings

# Events of gateways with the same database are looked for so often.
LOOK_FOR_EVENTS_EVERY_S = 0.5


def kept(settings: GatewaySettings) -> Kept:
    """0 days are for ever."""
    section = settings.retention
    return Kept(section.task_texts_days or None, section.tasks_days or None)


def client_settings(settings: GatewaySettings) -> ClientSettings:
    """Without the key, which is loaded beside. Raises SettingError."""
    chain, content = settings.chain, settings.content
    if not chain.contract_address:
        raise SettingError(
            "chain.contract_address",
            "is missing",
            hint="the coordinator's address, in gateway.toml or --contract",
        )
    return ClientSettings(
        eth_node_url=chain.eth_node_url,
        contract_address=chain.contract_address,
        ipfs_host=content.ipfs_host,
        ipfs_port=content.ipfs_port,
        ws_url=chain.ws_url,
        chain_id=chain.chain_id,
        data_dir=settings.data_dir,
        private_endpoints=settings.node.private_endpoints,
        first_block=chain.first_block,
        poll_s=chain.poll_s,
    )


def trade_settings(settings: GatewaySettings, database: Database) -> TradeSettings:
    """Raises SettingError."""
    key = settings.key
    return TradeSettings(
        outbox=LibraryTransactions(database),
        lock_dir=key.lock_dir,
        confirmations=settings.chain.confirmations,
        till=till_settings(settings.key),
    )


def till_settings(key: KeySection) -> TillSettings:
    low_wei = _tokens(key.credit_low, "key.credit_low")
    full_wei = _tokens(key.credit_full, "key.credit_full")
    if full_wei < low_wei:
        raise SettingError("key.credit_full", "is less than key.credit_low")
    return TillSettings(low_wei=low_wei, full_wei=full_wei)


def takings(settings: GatewaySettings, desk: Desk, database: Database) -> Takings:
    """Raises SettingError."""
    chain = settings.chain
    return Takings(
        desk,
        database,
        DepositSettings(confirmations=chain.confirmations, poll_s=chain.poll_s),
        top_up_settings(settings.deposits),
        ignored=ignored_senders(settings.deposits),
    )


def top_up_settings(section: DepositsSection) -> TopUpSettings:
    """Raises SettingError."""
    return TopUpSettings(minimum_wei=_tokens(section.min_top_up, "deposits.min_top_up"))


def ignored_senders(section: DepositsSection) -> frozenset[Address]:
    """Raises SettingError."""
    return frozenset(checked_address("deposits.ignored", text) for text in section.ignored)


def bus_settings(settings: GatewaySettings) -> BusSettings:
    return BusSettings(looks_every_s=LOOK_FOR_EVENTS_EVERY_S if settings.is_shared else None)


def task_limits(settings: GatewaySettings) -> TaskLimits:
    return TaskLimits(
        live=settings.tasks.at_once,
        live_per_account=settings.tasks.at_once_per_account,
        quote_wait_s=settings.tasks.submit_wait_s,
    )


def _tokens(text: str, setting: str) -> Wei:
    try:
        return parse_tokens(text)
    except InvalidAmount as error:
        raise SettingError(setting, error.message) from error
