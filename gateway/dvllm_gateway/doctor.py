"""Looks at everything a gateway needs and says what to do about what is missing."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import aiohttp

from decentralized_vllm.chain.network import Network, connect
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.server.places import Place
from decentralized_vllm.process.checks import Check, check_disk, failed_check, refused_check
from decentralized_vllm.process.own_key import check_key_may_be_raw, load_key
from decentralized_vllm.protocol.errors import DvllmError, SettingError
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import format_tokens
from decentralized_vllm.requester.purse import balance_of
from decentralized_vllm.requester.session import chain_settings
from dvllm_gateway.access import rate_limits
from dvllm_gateway.apis import check_default, rates_of
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.http.visit import SERVER_NAME
from dvllm_gateway.server_secret import server_secret
from dvllm_gateway.services.limits import read_rate
from dvllm_gateway.services.origins import PublicOrigins
from dvllm_gateway.services.scopes import ScopePolicy
from dvllm_gateway.serving import own_origins
from dvllm_gateway.settings import GatewaySettings
from dvllm_gateway.state import open_database
from dvllm_gateway.surroundings import checked_node_url
from dvllm_gateway.trading import (
    client_settings,
    ignored_senders,
    till_settings,
    top_up_settings,
)

ANSWER_TIMEOUT_S = 5.0

Look = Callable[[GatewaySettings], Awaitable[Check]]


async def examine_all(settings: GatewaySettings) -> list[Check]:
    """Never raises for what it finds. Works while the gateway runs, too."""
    looks: dict[str, Look] = {
        "disk": _disk,
        "ports": _ports,
        "database": _database,
        "secret": _secret,
        "content": _content,
        "chain": _chain,
        "key": _key,
    }
    read = await _tried("settings", _settings, settings)  # told only where there is a fault
    checks = [await _tried(name, look, settings) for name, look in looks.items()]
    return checks if read.is_ok else [read, *checks]


async def _tried(name: str, look: Look, settings: GatewaySettings) -> Check:
    try:
        return await look(settings)
    except DvllmError as error:
        return refused_check(name, error)
    except GatewayError as error:
        return failed_check(name, error.message, error.details)


async def _settings(settings: GatewaySettings) -> Check:
    """Those that no other look needs, read as a start reads them."""
    async with rate_limits(settings.limits):
        pass
    read_rate(settings.limits.bad_credentials, "limits.bad_credentials")
    rates_of(settings)
    check_default(settings)
    PublicOrigins.of(own_origins(settings))
    ScopePolicy.of(settings.auth.operators)
    if settings.node.node_url is not None:
        checked_node_url(settings.node.node_url)
    till_settings(settings.key)
    top_up_settings(settings.deposits)
    ignored_senders(settings.deposits)
    return Check("settings", True, "as a start takes them")


async def _disk(settings: GatewaySettings) -> Check:
    return check_disk(settings.data_dir)


async def _ports(settings: GatewaySettings) -> Check:
    listen = settings.listen
    ports = {
        "listen.dvllm_port": listen.dvllm_port,  # the first: a gateway says there what it is
        "listen.unified_port": listen.unified_port,
        "listen.dvllm_ws_port": listen.dvllm_ws_port,
    }
    places = [
        *(Place(listen.host, "listen.host", port, name) for name, port in ports.items()),
        Place(listen.admin_host, "listen.admin_host", listen.admin_port, "listen.admin_port"),
    ]
    told = ", ".join(str(place.port) for place in places)
    refused = [error for error in map(_refusal, places) if error is not None]
    if not refused:
        return Check("ports", True, told)
    if len(refused) == len(places) and await _is_gateway(places[0]):
        return Check("ports", True, f"{told}: a gateway listens there now")
    findings = dict.fromkeys(error.message for error in refused)  # a host has several ports
    mends = dict.fromkeys(error.hint for error in refused if error.hint)
    return Check("ports", False, "; ".join(findings), tuple(mends))


def _refusal(place: Place) -> SettingError | None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in place.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((place.host, place.port))
    except (OSError, UnicodeError) as error:
        return place.refusal(error)
    return None


async def _is_gateway(place: Place) -> bool:
    """Whether it is one of ours that answers there."""
    host = f"[{place.host}]" if ":" in place.host else place.host
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)) as session,
            session.head(f"http://{host}:{place.port}/") as reply,
        ):
            return reply.headers.get("Server") == SERVER_NAME
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _database(settings: GatewaySettings) -> Check:
    async with open_database(settings.database_location):
        pass
    return Check("database", True, "PostgreSQL" if settings.is_shared else "SQLite in data_dir")


async def _secret(settings: GatewaySettings) -> Check:
    await asyncio.to_thread(server_secret, settings.secret_path)
    return Check("secret", True, f"{settings.secret_path} keys the hashes of API keys")


async def _content(settings: GatewaySettings) -> Check:
    content = settings.content
    if content.ipfs_host is None:
        return Check("content", True, f"a store of its own in {settings.data_dir}")
    url = f"http://{content.ipfs_host}:{content.ipfs_port}"
    async with KuboStore(url, setting="content.ipfs_host") as store:
        return Check("content", True, f"{url} answers as version {await store.version()}")


async def _chain(settings: GatewaySettings) -> Check:
    async with _network(settings) as network:
        n_models = await network.model_registry.model_count()
        finding = f"chain {network.identity.chain_id}, contracts as expected, {n_models} models"
        return Check("chain", True, finding)


async def _key(settings: GatewaySettings) -> Check:
    account = load_key(settings.key)
    low_wei = till_settings(settings.key).low_wei
    async with _network(settings) as network:
        check_key_may_be_raw(settings.key, network.identity.chain_id)
        balance = await balance_of(network, Address(account.address))
    mends = []
    if balance.gas_wei == 0:
        mends.append(f"send {account.address} some of the chain's own coin, for gas")
    if balance.credit_wei + balance.wallet_wei < low_wei:
        mends.append(f"send {account.address} tokens: it pays for its users' jobs")
    finding = (
        f"{account.address} has {format_tokens(balance.gas_wei)} for gas, "
        f"{format_tokens(balance.credit_wei)} of credit and "
        f"{format_tokens(balance.wallet_wei)} in its wallet"
    )
    return Check("key", not mends, finding, tuple(mends))


def _network(settings: GatewaySettings) -> AbstractAsyncContextManager[Network]:
    return connect(chain_settings(client_settings(settings)))
