"""`gateway keys`: API keys for people, programs and CI."""

from datetime import UTC, datetime
from typing import Any

import click

from decentralized_vllm.process.commands import Result
from dvllm_gateway.access import api_keys
from dvllm_gateway.commands._shared import gateway_command
from dvllm_gateway.commands.on_database import AccountName
from dvllm_gateway.errors import NotFound
from dvllm_gateway.ids import AccountId, KeyId
from dvllm_gateway.services.identity import ApiKey
from dvllm_gateway.services.principals import Scope
from dvllm_gateway.services.scopes import DEFAULT_SCOPES
from dvllm_gateway.settings import GatewaySettings
from dvllm_gateway.state import SqlApiKeyStore, open_database


@click.group(name="keys")
def keys() -> None:
    """Make, list and revoke API keys. The gateway may run meanwhile."""


class ScopeList(click.ParamType[frozenset[Scope]]):
    """Names of scopes with commas."""

    name = "scopes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[Scope]:
        if isinstance(value, frozenset):
            return value
        try:
            return frozenset(Scope(name.strip()) for name in str(value).split(","))
        except ValueError:
            known = ",".join(scope for scope in Scope if scope is not Scope.OWNER)
            self.fail(f"{value!r} is not some of {known}", param, ctx)


_account = click.option(
    "--account", type=AccountName(), required=True, help="Whose: a name, or a wallet's address."
)
_scopes = click.option(
    "--scopes",
    type=ScopeList(),
    default=",".join(sorted(DEFAULT_SCOPES)),
    show_default=True,
    help="What it may do: read, infer, wallet; of operators also node, deploy.",
)


@_account
@_scopes
@gateway_command(
    name="create",
    say=lambda result: str(result["apiKey"]),
    help_text="""Make an API key, and print it. It is stored nowhere.

    \b
    Examples:
      gateway keys create --account alice
      gateway keys create --account ci --scopes read
      gateway keys create --account 0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2 --scopes read,wallet
      KEY=$(gateway keys create --account ci)
    """,
)
async def create(settings: GatewaySettings, account: AccountId, scopes: frozenset[Scope]) -> Result:
    async with open_database(settings.database_location) as database:
        made = await api_keys(settings, database).create(account, scopes)
    click.echo("Keep it: it is shown this once.", err=True)
    return {"apiKey": made.secret, **_fields(made.key)}


@_account
@gateway_command(
    name="list",
    say=lambda result: "\n".join(_line(key) for key in result["keys"]) or "no keys",
    help_text="""Show an account's keys, without their secrets.

    \b
    Example:
      gateway keys list --account alice
    """,
)
async def list_keys(settings: GatewaySettings, account: AccountId) -> Result:
    async with open_database(settings.database_location) as database:
        found = await SqlApiKeyStore(database).list(account)
    return {"keys": [_fields(key) for key in found]}


@click.argument("key_id")
@gateway_command(
    name="revoke",
    say=lambda result: f"{result['keyId']} of {result['account']} is revoked",
    help_text="""Revoke the key KEY_ID: the 8 characters after dvk_. In force within 5 seconds.

    \b
    Example:
      gateway keys revoke 4kQx81Zb
    """,
)
async def revoke(settings: GatewaySettings, key_id: str) -> Result:
    async with open_database(settings.database_location) as database:
        store = SqlApiKeyStore(database)
        stored = await store.find(KeyId(key_id))
        if stored is None or not await store.revoke(stored.key.account, stored.key.id):
            raise NotFound(f"there is no key {key_id}")
    return {"keyId": key_id, "account": stored.key.account}


for _command in (create, list_keys, revoke):
    keys.add_command(_command)


def _fields(key: ApiKey) -> dict[str, Any]:
    return {
        "keyId": key.id,
        "account": key.account,
        "scopes": sorted(key.scopes),
        "createdAt": _iso(key.created_at_ms),
        "lastUsedAt": None if key.last_used_at_ms is None else _iso(key.last_used_at_ms),
    }


def _iso(time_ms: int) -> str:
    at = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return at.replace("+00:00", "Z")


def _line(key: dict[str, Any]) -> str:
    scopes = ",".join(key["scopes"])
    return f"{key['keyId']}  {scopes:<28}  made {key['createdAt']}  used {key['lastUsedAt'] or '-'}"
